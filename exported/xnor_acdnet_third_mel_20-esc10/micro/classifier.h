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

#include "front_end.h"
#include "memory.h"
#include "stream.h"
#include "window_body.h"

namespace zoo {

class Classifier {
 public:
  explicit Classifier(std::size_t columns_per_decision)
      : body_(memory_), front_end_(memory_), stream_(front_end_, body_, columns_per_decision) {}

  // Whether both stand ready; a line in TFLM's log says why not. To be called once, before the stream is fed.
  bool Begin() {
    return memory_.Begin() && body_.Begin() && front_end_.Begin() && body_.HasRoom() && front_end_.HasRoom();
  }

  Stream& stream() { return stream_; }

  // Bytes of the arena in use, once it began. kArenaBytes can be lowered to it, on this chip with these kernels.
  std::size_t ArenaUsedBytes() const { return memory_.UsedBytes(); }

 private:
  Memory memory_;
  WindowBody body_;
  ColumnFrontEnd front_end_;
  Stream stream_;
};

}  // namespace zoo

#endif  // ZOO_CLASSIFIER_H_
