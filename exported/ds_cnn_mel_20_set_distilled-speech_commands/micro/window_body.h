// The body as a model in TFLM.
#ifndef ZOO_WINDOW_BODY_H_
#define ZOO_WINDOW_BODY_H_

#include "body.h"
#include "memory.h"
#include "stream.h"

namespace zoo {

class WindowBody final : public Body {
 public:
  explicit WindowBody(Memory& memory) : model_("body", g_body, memory.resolver(), memory.allocator()) {}

  bool Begin() { return model_.Begin(kWindowColumns * kColumnValues * sizeof(ColumnValue), kClasses * sizeof(Score)); }
  bool HasRoom() { return true; }

  ColumnValue* Window() override { return static_cast<ColumnValue*>(model_.Input()); }
  const Score* Run() override { return static_cast<const Score*>(model_.Run()); }

 private:
  Interpreter model_;
};

}  // namespace zoo

#endif  // ZOO_WINDOW_BODY_H_
