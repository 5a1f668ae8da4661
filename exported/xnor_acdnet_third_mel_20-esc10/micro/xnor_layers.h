/* Layers of XNOR-Net on bits: a bit is 1 for the value 1 and 0 for -1. Whole numbers alone, C99, no library.

   A map of rows x columns x channels is one string of bits, channels next to each other, then columns, then rows; bit i
   is bit i % 32 of word i / 32. A layer ends in a maximum over windows that do not overlap (1 x 1 without one).

   Made by the Edge Audio Zoo (zoo/export/xnor_c.py). */
#ifndef XNOR_LAYERS_H_
#define XNOR_LAYERS_H_

#include <stdint.h>

typedef struct {
    uint16_t rows, columns, channels; /* of the map that it takes */
    uint16_t kernel_rows, kernel_columns;
    uint16_t stride_rows, stride_columns;
    uint16_t top, left; /* of padding, which counts nothing */
    uint16_t pool_rows, pool_columns;
    uint16_t out_rows, out_columns, filters; /* of the map that it gives */
} xnor_shape;

/* Convolution of int8 by int8, of one channel: a bit is 1 where the sum reaches its filter's threshold.

   in: the value at row y and column x is in[y * row_stride + x * column_stride], and stands for its difference from
   zero_point. weights: of each filter its taps, row by row. out: is overwritten, with one word more than the map fills.
   taps: room for pool_rows * pool_columns * kernel_rows * kernel_columns values. */
void xnor_first(const xnor_shape *shape, const int8_t *in, int32_t row_stride, int32_t column_stride,
                int32_t zero_point, const int8_t *weights, const int32_t *thresholds, uint32_t *out, int16_t *taps);

/* Convolution of bits by bits. The sum of n products of 1 and -1 is n less twice the bits that differ.

   weights: of each filter its bits, row by row, filled up to a whole word. out: is overwritten, with one word more than
   the map fills. patches: for each window of the pool, room for XNOR_PATCH_WORDS(those of one filter). */
#define XNOR_PATCH_WORDS(words) (4 + 2 * (words))
void xnor_layer(const xnor_shape *shape, const uint32_t *in, const uint32_t *weights, const int16_t *thresholds,
                uint32_t *out, uint32_t *patches);

/* The same without threshold and pool: of each filter, its sums at all places together. */
void xnor_sums(const xnor_shape *shape, const uint32_t *in, const uint32_t *weights, int32_t *sums, uint32_t *patches);

#endif /* XNOR_LAYERS_H_ */
