#include "xnor_layers.h"

#include <string.h>

static unsigned words_of(unsigned bits)
{
    return (bits + 31) / 32;
}

static unsigned taps_of(const xnor_shape *shape)
{
    return (unsigned)shape->kernel_rows * shape->kernel_columns * shape->channels;
}

/* Where the next bit goes, among zeros. */
typedef struct {
    uint32_t *word, bit;
} pen;

static pen begin(const xnor_shape *shape, uint32_t *out)
{
    const pen first = {out, 1};
    memset(out, 0, sizeof *out * (words_of((unsigned)shape->out_rows * shape->out_columns * shape->filters) + 1));
    return first;
}

static inline void put(pen *at, int is_one)
{
    if (is_one)
        *at->word |= at->bit;
    at->bit <<= 1;
    if (at->bit == 0) {
        at->bit = 1;
        at->word++;
    }
}

/* Adds count bits of from, beginning at bit first, to the zeros at bit `at` of to. */
static void copy(const uint32_t *from, unsigned first, uint32_t *to, unsigned at, unsigned count)
{
    while (count > 0) {
        const unsigned n = count < 32 ? count : 32, shift = first % 32, place = at % 32;
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
static void fill(uint32_t *to, unsigned at, unsigned count)
{
    while (count > 0) {
        const unsigned place = at % 32, n = count < 32 - place ? count : 32 - place;
        to[at / 32] |= UINT32_MAX >> (32 - n) << place;
        at += n;
        count -= n;
    }
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

/* What lies under a kernel: `inside` bits of the map, in the words from `first` on of those that its weights have. In
   bits, where the map ends there are zeros; in padded, for kernels that are not all inside, ones. */
typedef struct {
    uint32_t inside, is_whole, first, words;
} patch;

static uint32_t *bits_of(patch *at)
{
    return (uint32_t *)(at + 1);
}

static void gather(const xnor_shape *shape, const uint32_t *in, int y, int x, patch *to)
{
    const unsigned channels = shape->channels, row = shape->kernel_columns * channels;
    const place at = place_of(shape, y, x);
    const unsigned run = (unsigned)(at.end_column - at.first_column) * channels;
    to->inside = (unsigned)(at.end_row - at.first_row) * run;
    to->is_whole = to->inside == taps_of(shape);
    to->first = (unsigned)at.first_row * row / 32;
    to->words = words_of((unsigned)at.end_row * row) - to->first;
    uint32_t *const bits = bits_of(to), *const padded = bits + to->words;
    memset(bits, 0, sizeof *bits * (to->is_whole ? 1 : 2) * to->words);
    for (int i = at.first_row; i < at.end_row; i++) {
        const unsigned from = (unsigned)((at.row + i) * shape->columns + at.column + at.first_column) * channels;
        const unsigned place = (unsigned)i * row + (unsigned)at.first_column * channels - 32 * to->first;
        copy(in, from, bits, place, run);
        if (!to->is_whole)
            fill(padded, place, run);
    }
    if (!to->is_whole)
        for (unsigned i = 0; i < to->words; i++)
            padded[i] = bits[i] | ~padded[i];
}

/* The bits of a word, counted in each four of them. */
static inline uint32_t in_fours(uint32_t bits)
{
    bits -= bits >> 1 & 0x55555555;
    return (bits & 0x33333333) + (bits >> 2 & 0x33333333);
}

static inline uint32_t in_bytes(uint32_t fours)
{
    return (fours & 0x0f0f0f0f) + (fours >> 4 & 0x0f0f0f0f);
}

/* How many bits of a and b differ. Three words are counted in fours of bits, ten times three in bytes: they have room
   for no more. */
static unsigned differing(const uint32_t *a, const uint32_t *b, unsigned words)
{
    uint32_t total = 0;
    while (words > 0) {
        uint32_t bytes = 0;
        unsigned left = words < 30 ? words : 30;
        words -= left;
        for (; left >= 3; left -= 3, a += 3, b += 3)
            bytes += in_bytes(in_fours(a[0] ^ b[0]) + in_fours(a[1] ^ b[1]) + in_fours(a[2] ^ b[2]));
        for (; left > 0; left--)
            bytes += in_bytes(in_fours(*a++ ^ *b++));
        const uint32_t halves = (bytes & 0x00ff00ff) + (bytes >> 8 & 0x00ff00ff);
        total += (halves + (halves >> 16)) & 0xffff;
    }
    return total;
}

/* The sum of the products of 1 and -1 under a kernel. A bit outside differs from its weight once, as 0 or as 1. */
static inline int sum_of(patch *at, const uint32_t *weights)
{
    const uint32_t *const bits = bits_of(at);
    const unsigned different = differing(bits, weights + at->first, at->words);
    if (at->is_whole)
        return (int)(at->inside - 2 * different);
    const unsigned outside = 32 * at->words - at->inside;
    return (int)(at->inside + outside - different - differing(bits + at->words, weights + at->first, at->words));
}

/* The values under a kernel, among zeros. */
static void hear(const xnor_shape *shape, const int8_t *in, int32_t row_stride, int32_t column_stride,
                 int32_t zero_point, int y, int x, int16_t *taps)
{
    const place at = place_of(shape, y, x);
    for (int i = at.first_row; i < at.end_row; i++)
        for (int j = at.first_column; j < at.end_column; j++)
            taps[i * shape->kernel_columns + j] =
                (int16_t)(in[(at.row + i) * row_stride + (at.column + j) * column_stride] - zero_point);
}

void xnor_first(const xnor_shape *shape, const int8_t *in, int32_t row_stride, int32_t column_stride,
                int32_t zero_point, const int8_t *weights, const int32_t *thresholds, uint32_t *out, int16_t *taps)
{
    const unsigned size = taps_of(shape), windows = (unsigned)shape->pool_rows * shape->pool_columns;
    pen at = begin(shape, out);
    for (int y = 0; y < shape->out_rows; y++) {
        for (int x = 0; x < shape->out_columns; x++) {
            int16_t *tap = taps;
            memset(taps, 0, sizeof *taps * windows * size);
            for (int i = 0; i < shape->pool_rows; i++)
                for (int j = 0; j < shape->pool_columns; j++, tap += size)
                    hear(shape, in, row_stride, column_stride, zero_point, y * shape->pool_rows + i,
                         x * shape->pool_columns + j, tap);
            const int8_t *weight = weights;
            for (unsigned filter = 0; filter < shape->filters; filter++, weight += size) {
                int reached = 0;
                tap = taps;
                for (unsigned window = 0; window < windows && !reached; window++) {
                    int32_t sum = 0;
                    for (unsigned i = 0; i < size; i++)
                        sum += weight[i] * *tap++;
                    reached = sum >= thresholds[filter];
                }
                put(&at, reached);
            }
        }
    }
}

void xnor_layer(const xnor_shape *shape, const uint32_t *in, const uint32_t *weights, const int16_t *thresholds,
                uint32_t *out, uint32_t *patches)
{
    const unsigned words = words_of(taps_of(shape)), size = XNOR_PATCH_WORDS(words);
    const unsigned end = size * shape->pool_rows * shape->pool_columns;
    pen at = begin(shape, out);
    for (int y = 0; y < shape->out_rows; y++) {
        for (int x = 0; x < shape->out_columns; x++) {
            uint32_t *to = patches;
            for (int i = 0; i < shape->pool_rows; i++)
                for (int j = 0; j < shape->pool_columns; j++, to += size)
                    gather(shape, in, y * shape->pool_rows + i, x * shape->pool_columns + j, (patch *)to);
            const uint32_t *weight = weights;
            for (unsigned filter = 0; filter < shape->filters; filter++, weight += words) {
                int reached = 0;
                for (unsigned i = 0; i < end && !reached; i += size)
                    reached = sum_of((patch *)(patches + i), weight) >= thresholds[filter];
                put(&at, reached);
            }
        }
    }
}

void xnor_sums(const xnor_shape *shape, const uint32_t *in, const uint32_t *weights, int32_t *sums, uint32_t *patches)
{
    const unsigned words = words_of(taps_of(shape));
    patch *const at = (patch *)patches;
    memset(sums, 0, sizeof *sums * shape->filters);
    for (int y = 0; y < shape->out_rows; y++) {
        for (int x = 0; x < shape->out_columns; x++) {
            gather(shape, in, y, x, at);
            for (unsigned filter = 0; filter < shape->filters; filter++)
                sums[filter] += sum_of(at, weights + filter * words);
        }
    }
}
