// A stream of sound becomes decisions: the ring of columns and the loop around it. Needs neither TFLM nor a heap.
//
//   samples -> front end -> columns -> ring -> body -> scores
//
// However the samples are chunked, every column is computed once, and the scores are the same bytes.
#ifndef ZOO_STREAM_H_
#define ZOO_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "settings.h"

namespace zoo {

// Makes a column of what it hears.
class FrontEnd {
 public:
  // The column of kColumnFieldSamples samples, valid until a model runs again; nullptr on failure.
  virtual const ColumnValue* Run(const std::int16_t* field) = 0;

 protected:
  ~FrontEnd() = default;
};

// Makes scores of a window of columns.
class Body {
 public:
  // Room for kWindowColumns columns, to be filled, the oldest first, before each Run.
  virtual ColumnValue* Window() = 0;
  // kClasses scores, valid until a model runs again; nullptr on failure.
  virtual const Score* Run() = 0;

 protected:
  ~Body() = default;
};

class Stream {
 public:
  // columns_per_decision: the new columns that each decision waits for, once the first window is whole. With 0 the
  // stream has failed from the start.
  Stream(FrontEnd& front_end, Body& body, std::size_t columns_per_decision)
      : front_end_(front_end),
        body_(body),
        columns_per_decision_(columns_per_decision),
        failed_(columns_per_decision == 0) {}

  // How many of the samples it took: all, unless a decision falls due among them or a model fails.
  std::size_t Feed(const std::int16_t* samples, std::size_t count) {
    std::size_t taken = 0;
    while (taken < count && !Due() && !failed_) {
      const std::size_t room = kColumnFieldSamples - held_, left = count - taken;
      const std::size_t n = left < room ? left : room;
      std::memcpy(field_ + held_, samples + taken, n * sizeof(field_[0]));
      held_ += n;
      taken += n;
      if (held_ == kColumnFieldSamples) ComputeColumn();
    }
    samples_ += taken;
    return taken;
  }

  // Whether Decide() has to be called before more samples are taken.
  bool Due() const { return columns_awaited_ == 0; }

  // The kClasses scores of the last kWindowColumns columns, valid until the next Feed(); nullptr where no decision is
  // due or a model failed.
  const Score* Decide() {
    if (!Due() || failed_) return nullptr;
    const std::size_t older = kWindowColumns - next_;  // what the ring holds from next_ on came before the rest
    ColumnValue* window = body_.Window();
    std::memcpy(window, ring_ + next_ * kColumnValues, older * kColumnBytes);
    std::memcpy(window + older * kColumnValues, ring_, next_ * kColumnBytes);
    const Score* scores = body_.Run();
    failed_ = scores == nullptr;
    columns_awaited_ = columns_per_decision_;
    return scores;
  }

  // Whether a model failed, or columns_per_decision is 0. A stream that failed stays so.
  bool Failed() const { return failed_; }

  // What was done since the start.
  std::uint64_t samples() const { return samples_; }
  std::uint64_t columns() const { return columns_; }

 private:
  static constexpr std::size_t kColumnBytes = kColumnValues * sizeof(ColumnValue);
  static_assert(kColumnFieldSamples >= kColumnStrideSamples, "columns that skip samples are not understood");

  void ComputeColumn() {
    const ColumnValue* column = front_end_.Run(field_);
    if (column == nullptr) {
      failed_ = true;
      return;
    }
    std::memcpy(ring_ + next_ * kColumnValues, column, kColumnBytes);
    next_ = (next_ + 1) % kWindowColumns;
    --columns_awaited_;
    ++columns_;
    held_ = kColumnFieldSamples - kColumnStrideSamples;  // the halo, which the next column hears too
    std::memmove(field_, field_ + kColumnStrideSamples, held_ * sizeof(field_[0]));
  }

  FrontEnd& front_end_;
  Body& body_;
  const std::size_t columns_per_decision_;
  bool failed_;
  std::size_t held_ = 0;  // samples in field_
  std::size_t next_ = 0;  // column of ring_ that is written next: the oldest, once the window is whole
  std::size_t columns_awaited_ = kWindowColumns;
  std::uint64_t samples_ = 0;
  std::uint64_t columns_ = 0;
  std::int16_t field_[kColumnFieldSamples];
  ColumnValue ring_[kWindowColumns * kColumnValues];
};

}  // namespace zoo

#endif  // ZOO_STREAM_H_
