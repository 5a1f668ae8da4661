#include "xnor_layers.h"

#include <string.h>

static int words_of(int bits)
{
    return (bits + 31) / 32;
}

static int taps_of(const xnor_shape *shape)
{
    return shape->kernel_rows * shape->kernel_columns * shape->channels;
}

static void clear(const xnor_shape *shape, uint32_t *out)
{
    memset(out, 0, 4 * (size_t)(words_of(shape->out_rows * shape->out_columns * shape->filters) + 1));
}

static void set(uint32_t *bits, int at, int bit)
{
    bits[at / 32] |= (uint32_t)bit << at % 32;
}

/* Adds count bits of from, beginning at bit first, to the zeros at bit `at` of to. */
static void copy(const uint32_t *from, int first, uint32_t *to, int at, int count)
{
    while (count > 0) {
        const int n = count < 32 ? count : 32, shift = first % 32, place = at % 32;
        uint32_t bits = from[first / 32] >> shift;
        if (shift + n > 32)
            bits |= from[first / 32 + 1] << (32 - shift);
        if (n < 32)
            bits &= ((uint32_t)1 << n) - 1;
        to[at / 32] |= bits << place;
        if (place + n > 32)
            to[at / 32 + 1] |= bits >> (32 - place);
        first += n;
        at += n;
        count -= n;
    }
}

/* Sets count bits from bit `at` on. */
static void fill(uint32_t *to, int at, int count)
{
    static const uint32_t ones[] = {UINT32_MAX, UINT32_MAX};
    for (; count > 0; count -= 32, at += 32)
        copy(ones, 0, to, at, count < 32 ? count : 32);
}

/* Where a kernel lies over the map: rows and columns from first to before end are inside. */
typedef struct {
    int row, column, first_row, end_row, first_column, end_column;
} place;

static int less(int a, int b)
{
    return a < b ? a : b;
}

static int more(int a, int b)
{
    return a > b ? a : b;
}

static place place_of(const xnor_shape *shape, int y, int x)
{
    const int row = y * shape->stride_rows - shape->top, column = x * shape->stride_columns - shape->left;
    const place found = {row,
                         column,
                         more(0, -row),
                         less(shape->kernel_rows, shape->rows - row),
                         more(0, -column),
                         less(shape->kernel_columns, shape->columns - column)};
    return found;
}

/* What lies under a kernel: how many bits of it are inside the map, those bits as the weights lie, and a mask of them.
   Of 1 + 2 * words words. */
static void gather(const xnor_shape *shape, const uint32_t *in, int y, int x, uint32_t *patch)
{
    const int channels = shape->channels, words = words_of(taps_of(shape));
    const place at = place_of(shape, y, x);
    const int run = (at.end_column - at.first_column) * channels;
    memset(patch, 0, sizeof *patch * (size_t)(1 + 2 * words));
    patch[0] = (uint32_t)((at.end_row - at.first_row) * run);
    for (int i = at.first_row; i < at.end_row; i++) {
        const int from = ((at.row + i) * shape->columns + at.column + at.first_column) * channels;
        const int to = (i * shape->kernel_columns + at.first_column) * channels;
        copy(in, from, patch + 1, to, run);
        fill(patch + 1 + words, to, run);
    }
}

/* How many bits of a and b differ, inside the mask where there is one. Counted side by side: in pairs of bits, in fours
   of three words at once, and in bytes. */
static inline int differing(const uint32_t *a, const uint32_t *b, const uint32_t *mask, int words)
{
    uint32_t total = 0;
    while (words > 0) {
        uint32_t bytes = 0; /* of 30 words at most: 240 each */
        for (int threes = 0; threes < 10 && words > 0; threes++) {
            uint32_t fours = 0;
            for (int i = less(words, 3); i > 0; i--, words--) {
                uint32_t bits = *a++ ^ *b++;
                if (mask)
                    bits &= *mask++;
                bits -= bits >> 1 & 0x55555555;
                fours += (bits & 0x33333333) + (bits >> 2 & 0x33333333);
            }
            bytes += (fours & 0x0f0f0f0f) + (fours >> 4 & 0x0f0f0f0f);
        }
        const uint32_t halves = (bytes & 0x00ff00ff) + (bytes >> 8 & 0x00ff00ff);
        total += (halves + (halves >> 16)) & 0xffff;
    }
    return (int)total;
}

/* The sum of the products of 1 and -1 under a kernel. */
static int sum_of(const uint32_t *patch, const uint32_t *weights, int taps)
{
    const int words = words_of(taps), inside = (int)patch[0];
    const int different = inside == taps ? differing(patch + 1, weights, NULL, words)
                                         : differing(patch + 1, weights, patch + 1 + words, words);
    return inside - 2 * different;
}

void xnor_first(const xnor_shape *shape, const int8_t *in, int32_t row_stride, int32_t column_stride,
                int32_t zero_point, const int8_t *weights, const int32_t *thresholds, uint32_t *out, int16_t *taps)
{
    const int size = taps_of(shape), windows = shape->pool_rows * shape->pool_columns;
    int written = 0;
    clear(shape, out);
    for (int y = 0; y < shape->out_rows; y++) {
        for (int x = 0; x < shape->out_columns; x++) {
            memset(taps, 0, sizeof *taps * (size_t)(windows * size));
            for (int w = 0; w < windows; w++) {
                const place at = place_of(shape, y * shape->pool_rows + w / shape->pool_columns,
                                          x * shape->pool_columns + w % shape->pool_columns);
                for (int i = at.first_row; i < at.end_row; i++)
                    for (int j = at.first_column; j < at.end_column; j++)
                        taps[w * size + i * shape->kernel_columns + j] =
                            (int16_t)(in[(at.row + i) * row_stride + (at.column + j) * column_stride] - zero_point);
            }
            for (int filter = 0; filter < shape->filters; filter++) {
                int reached = 0;
                for (int w = 0; w < windows && !reached; w++) {
                    int32_t sum = 0;
                    for (int i = 0; i < size; i++)
                        sum += weights[filter * size + i] * taps[w * size + i];
                    reached = sum >= thresholds[filter];
                }
                set(out, written++, reached);
            }
        }
    }
}

void xnor_layer(const xnor_shape *shape, const uint32_t *in, const uint32_t *weights, const int16_t *thresholds,
                uint32_t *out, uint32_t *patches)
{
    const int taps = taps_of(shape), words = words_of(taps), windows = shape->pool_rows * shape->pool_columns;
    int written = 0;
    clear(shape, out);
    for (int y = 0; y < shape->out_rows; y++) {
        for (int x = 0; x < shape->out_columns; x++) {
            for (int w = 0; w < windows; w++)
                gather(shape, in, y * shape->pool_rows + w / shape->pool_columns,
                       x * shape->pool_columns + w % shape->pool_columns, patches + (1 + 2 * words) * w);
            for (int filter = 0; filter < shape->filters; filter++) {
                int reached = 0;
                for (int w = 0; w < windows && !reached; w++)
                    reached = sum_of(patches + (1 + 2 * words) * w, weights + filter * words, taps) >=
                              thresholds[filter];
                set(out, written++, reached);
            }
        }
    }
}

void xnor_sums(const xnor_shape *shape, const uint32_t *in, const uint32_t *weights, int32_t *sums, uint32_t *patches)
{
    const int taps = taps_of(shape), words = words_of(taps);
    memset(sums, 0, sizeof *sums * shape->filters);
    for (int y = 0; y < shape->out_rows; y++) {
        for (int x = 0; x < shape->out_columns; x++) {
            gather(shape, in, y, x, patches);
            for (int filter = 0; filter < shape->filters; filter++)
                sums[filter] += sum_of(patches, weights + filter * words, taps);
        }
    }
}
