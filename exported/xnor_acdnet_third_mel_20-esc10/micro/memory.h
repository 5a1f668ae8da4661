// What the front end and the body share: they are C code, which keeps nothing and works in turn.
#ifndef ZOO_MEMORY_H_
#define ZOO_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "settings.h"

namespace zoo {

class Memory {
 public:
  bool Begin() { return true; }
  bool HasRoom(const char*, std::size_t bytes) { return bytes <= kArenaBytes; }
  std::uint8_t* arena() { return arena_; }
  std::size_t UsedBytes() const { return kArenaBytes; }

 private:
  alignas(16) std::uint8_t arena_[kArenaBytes] = {};
};

}  // namespace zoo

#endif  // ZOO_MEMORY_H_
