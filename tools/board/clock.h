/* Counts instructions, in C and C++: with QEMU's -icount shift=0 one takes a nanosecond, and the board's 25 MHz timer
 * counts 40 of them. */
#ifndef ZOO_BOARD_CLOCK_H_
#define ZOO_BOARD_CLOCK_H_

#include <stdint.h>

/* CMSDK timer 0 of mps2-an386 counts down 32 bits, so 170 G instructions; the core's own timer has 24. */
#define BOARD_TIMER ((volatile uint32_t *)0x40000000)
enum { BOARD_CONTROL, BOARD_VALUE, BOARD_RELOAD };

static inline void board_start_clock(void)
{
    BOARD_TIMER[BOARD_CONTROL] = 0;
    BOARD_TIMER[BOARD_RELOAD] = 0xFFFFFFFFu;
    BOARD_TIMER[BOARD_VALUE] = 0xFFFFFFFFu;
    BOARD_TIMER[BOARD_CONTROL] = 1;
}

/* Since board_start_clock. */
static inline unsigned long long board_instructions(void)
{
    return (0xFFFFFFFFu - BOARD_TIMER[BOARD_VALUE]) * 40ull;
}

#endif /* ZOO_BOARD_CLOCK_H_ */
