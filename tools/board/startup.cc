// Brings QEMU's mps2-an386 (Cortex-M4 with a float unit) to main, with stdout and the exit code over semihosting.
#include <cstdint>
#include <cstdlib>

extern "C" {

void initialise_monitor_handles();  // of newlib's librdimon
void __libc_init_array();
void _init() {}  // what the compiler's own start files would bring: nothing here has to be torn down
void _fini() {}
void* __dso_handle;

int main();
extern std::uint32_t stack_top;

void Reset() {
  *reinterpret_cast<volatile std::uint32_t*>(0xE000ED88) |= 0xFu << 20;  // CPACR: the float unit on
  asm volatile("dsb\n isb");
  initialise_monitor_handles();
  __libc_init_array();
  std::exit(main());
}

void Fault() { std::exit(1); }

__attribute__((section(".vectors"), used)) const void* const vectors[] = {
    &stack_top,
    reinterpret_cast<const void*>(&Reset),
    reinterpret_cast<const void*>(&Fault),  // NMI
    reinterpret_cast<const void*>(&Fault),  // HardFault, to which the others escalate
};
}
