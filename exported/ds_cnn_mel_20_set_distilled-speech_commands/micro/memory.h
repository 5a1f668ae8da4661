// What the models share: the arena, and TFLM's operators and allocator.
#ifndef ZOO_MEMORY_H_
#define ZOO_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "interpreter.h"
#include "operators.h"
#include "settings.h"

namespace zoo {

class Memory {
 public:
  Memory() : allocator_(tflite::MicroAllocator::Create(arena_, kArenaBytes)) {}

  bool Begin() { return AddOperators(resolver_); }

  // Whether C code that works at the arena's beginning, where nothing lies between two runs of a model, has room below
  // what models keep at its end. To be asked once they began; a line in the log says where not.
  bool HasRoom(const char* name, std::size_t bytes) {
    const std::uint8_t* kept = static_cast<const std::uint8_t*>(allocator_->AllocatePersistentBuffer(1));
    if (kept != nullptr && kept - arena_ >= static_cast<std::ptrdiff_t>(bytes)) return true;
    MicroPrintf("%s: no room in the arena; raise kArenaBytes in settings.h, now %d", name,
                static_cast<int>(kArenaBytes));
    return false;
  }

  std::uint8_t* arena() { return arena_; }
  const Resolver& resolver() const { return resolver_; }
  tflite::MicroAllocator* allocator() { return allocator_; }
  std::size_t UsedBytes() const { return allocator_->used_bytes(); }

 private:
  alignas(16) std::uint8_t arena_[kArenaBytes];
  Resolver resolver_;
  tflite::MicroAllocator* allocator_;
};

}  // namespace zoo

#endif  // ZOO_MEMORY_H_
