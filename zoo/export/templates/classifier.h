// The whole classifier: front end and body on one arena, and the stream that runs them.
//
//   static zoo::Classifier classifier(columns_per_decision);
//   if (!classifier.Begin()) ...                               // once, where the log can be written
//   while (count > 0 && !classifier.stream().Failed()) {       // for every buffer of samples
//     const std::size_t taken = classifier.stream().Feed(samples, count);
//     samples += taken;
//     count -= taken;
//     if (const zoo::Score* scores = classifier.stream().Decide()) ...
//   }
#ifndef ZOO_CLASSIFIER_H_
#define ZOO_CLASSIFIER_H_

#include <cstddef>
#include <cstdint>

#include "body.h"
#include "front_end.h"
#include "interpreter.h"
#include "operators.h"
#include "settings.h"
#include "stream.h"

namespace zoo {

class Classifier {
 public:
  explicit Classifier(std::size_t columns_per_decision)
      : allocator_(tflite::MicroAllocator::Create(arena_, kArenaBytes)),
        body_(resolver_, allocator_),
        front_end_(resolver_, allocator_, arena_),
        stream_(front_end_, body_, columns_per_decision) {}

  // Whether the models stand ready; a line in TFLM's log says why not. To be called once, before the stream is fed.
  bool Begin() { return AddOperators(resolver_) && body_.Begin() && front_end_.Begin(); }

  Stream& stream() { return stream_; }

  // Bytes of the arena in use, once it began. kArenaBytes can be lowered to it, on this chip with these kernels.
  std::size_t ArenaUsedBytes() const { return body_.ArenaUsedBytes(); }

 private:
  class WindowBody final : public Body {
   public:
    WindowBody(const tflite::MicroOpResolver& resolver, tflite::MicroAllocator* allocator)
        : model_("body", g_body, resolver, allocator) {}

    bool Begin() {
      return model_.Begin(kWindowColumns * kColumnValues * sizeof(ColumnValue), kClasses * sizeof(Score));
    }
    ColumnValue* Window() override { return static_cast<ColumnValue*>(model_.Input()); }
    const Score* Run() override { return static_cast<const Score*>(model_.Run()); }
    std::size_t ArenaUsedBytes() const { return model_.ArenaUsedBytes(); }

   private:
    Interpreter model_;
  };

  alignas(16) std::uint8_t arena_[kArenaBytes];
  Resolver resolver_;
  tflite::MicroAllocator* allocator_;
  WindowBody body_;
  ColumnFrontEnd front_end_;
  Stream stream_;
};

}  // namespace zoo

#endif  // ZOO_CLASSIFIER_H_
