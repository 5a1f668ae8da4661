// The front end as C code, in frontend.c.
#ifndef ZOO_FRONT_END_H_
#define ZOO_FRONT_END_H_

#include <cstddef>
#include <cstdint>

#include "frontend.h"
#include "memory.h"
#include "stream.h"

namespace zoo {

// Works at the beginning of the arena.
class ColumnFrontEnd final : public FrontEnd {
 public:
  explicit ColumnFrontEnd(Memory& memory) : memory_(memory) {}

  bool Begin() { return true; }
  bool HasRoom() { return memory_.HasRoom("frontend", kScratchBytes + kColumnBytes); }

  const ColumnValue* Run(const std::int16_t* field) override {
    ColumnValue* column = reinterpret_cast<ColumnValue*>(memory_.arena() + kScratchBytes);
    frontend_column(field, column, reinterpret_cast<float*>(memory_.arena()));
    return column;
  }

 private:
  static constexpr std::size_t kScratchBytes = FRONTEND_SCRATCH_FLOATS * sizeof(float);
  static constexpr std::size_t kColumnBytes = kColumnValues * sizeof(ColumnValue);
  static_assert(FRONTEND_FIELD_SAMPLES == kColumnFieldSamples && FRONTEND_STRIDE_SAMPLES == kColumnStrideSamples &&
                    FRONTEND_MELS == kColumnValues && sizeof(frontend_value) == sizeof(ColumnValue),
                "frontend.c and settings.h were written for different columns");

  Memory& memory_;
};

}  // namespace zoo

#endif  // ZOO_FRONT_END_H_
