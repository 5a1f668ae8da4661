// The front end as C code, in frontend.c.
#ifndef ZOO_FRONT_END_H_
#define ZOO_FRONT_END_H_

#include <cstddef>
#include <cstdint>

#include "frontend.h"
#include "interpreter.h"
#include "stream.h"

namespace zoo {

// Works at the beginning of the arena, where nothing lies between two runs of the body.
class ColumnFrontEnd final : public FrontEnd {
 public:
  ColumnFrontEnd(const tflite::MicroOpResolver&, tflite::MicroAllocator* allocator, std::uint8_t* arena)
      : allocator_(allocator), arena_(arena) {}

  // Whether there is room below what the body keeps, which lies at the arena's end; so the body has to begin first.
  bool Begin() {
    const std::uint8_t* kept = static_cast<const std::uint8_t*>(allocator_->AllocatePersistentBuffer(1));
    if (kept != nullptr && kept - arena_ >= static_cast<std::ptrdiff_t>(kScratchBytes + kColumnBytes)) return true;
    MicroPrintf("frontend: no room in the arena; raise kArenaBytes in settings.h, now %d",
                static_cast<int>(kArenaBytes));
    return false;
  }

  const ColumnValue* Run(const std::int16_t* field) override {
    ColumnValue* column = reinterpret_cast<ColumnValue*>(arena_ + kScratchBytes);
    frontend_column(field, column, reinterpret_cast<float*>(arena_));
    return column;
  }

 private:
  static constexpr std::size_t kScratchBytes = FRONTEND_SCRATCH_FLOATS * sizeof(float);
  static constexpr std::size_t kColumnBytes = kColumnValues * sizeof(ColumnValue);
  static_assert(FRONTEND_FIELD_SAMPLES == kColumnFieldSamples && FRONTEND_STRIDE_SAMPLES == kColumnStrideSamples &&
                    FRONTEND_MELS == kColumnValues && sizeof(frontend_value) == sizeof(ColumnValue),
                "frontend.c and settings.h were written for different columns");

  tflite::MicroAllocator* allocator_;
  std::uint8_t* arena_;
};

}  // namespace zoo

#endif  // ZOO_FRONT_END_H_
