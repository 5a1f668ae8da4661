// The body as C code that counts bits, in xnor.c.
#ifndef ZOO_WINDOW_BODY_H_
#define ZOO_WINDOW_BODY_H_

#include <cstddef>
#include <cstdint>

#include "memory.h"
#include "stream.h"
#include "xnor.h"

namespace zoo {

// Works at the beginning of the arena.
class WindowBody final : public Body {
 public:
  explicit WindowBody(Memory& memory) : memory_(memory) {}

  bool Begin() { return true; }
  bool HasRoom() { return memory_.HasRoom("xnor", kScratchBytes + sizeof(ColumnValue) * kWindowColumns * kColumnValues); }

  ColumnValue* Window() override { return reinterpret_cast<ColumnValue*>(memory_.arena() + kScratchBytes); }
  const Score* Run() override {
    xnor_scores(Window(), scores_, reinterpret_cast<std::uint32_t*>(memory_.arena()));
    return scores_;
  }

 private:
  static constexpr std::size_t kScratchBytes = XNOR_SCRATCH_WORDS * sizeof(std::uint32_t);
  static_assert(XNOR_COLUMNS == kWindowColumns && XNOR_COLUMN_ROWS * XNOR_COLUMN_CHANNELS == kColumnValues &&
                    XNOR_CLASSES == kClasses,
                "xnor.c and settings.h were written for different bodies");

  Memory& memory_;
  Score scores_[kClasses];
};

}  // namespace zoo

#endif  // ZOO_WINDOW_BODY_H_
