// The front end as a model in TFLM.
#ifndef ZOO_FRONT_END_H_
#define ZOO_FRONT_END_H_

#include <cstdint>
#include <cstring>

#include "frontend.h"
#include "memory.h"
#include "stream.h"

namespace zoo {

class ColumnFrontEnd final : public FrontEnd {
 public:
  explicit ColumnFrontEnd(Memory& memory) : model_("frontend", g_frontend, memory.resolver(), memory.allocator()) {}

  bool Begin() { return model_.Begin(kFieldBytes, kColumnValues * sizeof(ColumnValue)); }
  bool HasRoom() { return true; }

  const ColumnValue* Run(const std::int16_t* field) override {
    std::memcpy(model_.Input(), field, kFieldBytes);
    return static_cast<const ColumnValue*>(model_.Run());
  }

 private:
  static constexpr std::size_t kFieldBytes = kColumnFieldSamples * sizeof(std::int16_t);

  Interpreter model_;
};

}  // namespace zoo

#endif  // ZOO_FRONT_END_H_
