// Runs zoo::Stream with recorded and with counting models, and prints "yes" or "no" for each claim.
#include <cstdio>

#include "recorded.h"
#include "stream.h"

namespace {

struct RecordedFrontEnd final : zoo::FrontEnd {
  const zoo::ColumnValue* Run(const std::int16_t* field) override { return recorded::ColumnOf(field); }
};

struct RecordedBody final : zoo::Body {
  zoo::ColumnValue* Window() override { return window; }
  const zoo::Score* Run() override { return recorded::ScoresOf(window); }
  zoo::ColumnValue window[zoo::kWindowColumns * zoo::kColumnValues];
};

RecordedFrontEnd front_end;
RecordedBody body;

bool GivesTheGoldenScores(std::size_t (*next_chunk)()) {
  zoo::Stream stream(front_end, body, g_golden_columns_per_decision);
  std::size_t decisions = 0, fed = 0;
  while (fed < g_golden_pcm_len && !stream.Failed()) {
    const std::size_t chunk = next_chunk(), left = g_golden_pcm_len - fed;
    fed += stream.Feed(g_golden_pcm + fed, chunk < left ? chunk : left);
    const zoo::Score* scores = stream.Decide();
    if (scores == nullptr) continue;
    const zoo::Score* expected = g_golden_scores + decisions++ * zoo::kClasses;
    if (decisions > g_golden_decisions) return false;
    if (std::memcmp(scores, expected, zoo::kClasses * sizeof(*scores)) != 0) return false;
  }
  return decisions == g_golden_decisions && !stream.Failed() && stream.samples() == g_golden_pcm_len;
}

std::size_t One() { return 1; }
std::size_t Everything() { return g_golden_pcm_len; }
std::uint32_t state;
std::size_t Random() { return (state = state * 1664525u + 1013904223u) >> 21; }  // 0 to 2047

bool RandomChunksGiveTheGoldenScores() {
  for (state = 1; state < 6; ++state) {
    const std::uint32_t seed = state;
    if (!GivesTheGoldenScores(Random)) return false;
    state = seed;
  }
  return true;
}

// Numbers its columns, and refuses samples that do not begin and end with those that come next.
struct CountingFrontEnd final : zoo::FrontEnd {
  const zoo::ColumnValue* Run(const std::int16_t* field) override {
    const std::uint32_t first = computed * zoo::kColumnStrideSamples, last = first + zoo::kColumnFieldSamples - 1;
    if (field[0] != static_cast<std::int16_t>(first)) return nullptr;
    if (field[zoo::kColumnFieldSamples - 1] != static_cast<std::int16_t>(last)) return nullptr;
    for (zoo::ColumnValue& value : column) value = static_cast<zoo::ColumnValue>(computed);
    ++computed;
    return column;
  }
  std::uint32_t computed = 0;
  zoo::ColumnValue column[zoo::kColumnValues];
};

// Refuses a window that does not hold the newest columns, in order.
struct CountingBody final : zoo::Body {
  explicit CountingBody(const CountingFrontEnd& counted) : counted(counted) {}
  zoo::ColumnValue* Window() override { return window; }
  const zoo::Score* Run() override {
    const std::uint32_t oldest = counted.computed - zoo::kWindowColumns;
    for (std::size_t i = 0; i < zoo::kWindowColumns * zoo::kColumnValues; ++i) {
      if (window[i] != static_cast<zoo::ColumnValue>(oldest + i / zoo::kColumnValues)) return nullptr;
    }
    ++decisions;
    return scores;
  }
  const CountingFrontEnd& counted;
  std::uint32_t decisions = 0;
  zoo::ColumnValue window[zoo::kWindowColumns * zoo::kColumnValues];
  zoo::Score scores[zoo::kClasses] = {};
};

bool SixtySecondsComputeEveryColumnOnce() {
  CountingFrontEnd counter;
  CountingBody checker(counter);
  zoo::Stream stream(counter, checker, 7);
  const std::uint32_t total = 60 * zoo::kSampleRateHz;
  std::int16_t chunk[777];
  for (std::uint32_t fed = 0; fed < total && !stream.Failed();) {
    const std::uint32_t n = total - fed < 777 ? total - fed : 777;
    for (std::uint32_t i = 0; i < n; ++i) chunk[i] = static_cast<std::int16_t>(fed + i);
    fed += static_cast<std::uint32_t>(stream.Feed(chunk, n));
    stream.Decide();
  }
  // As many as begin and end within 60 s.
  const std::uint32_t columns = 1 + (total - zoo::kColumnFieldSamples) / zoo::kColumnStrideSamples;
  return !stream.Failed() && stream.samples() == total && stream.columns() == columns &&
         counter.computed == columns && checker.decisions == 1 + (columns - zoo::kWindowColumns) / 7;
}

bool NothingIsTakenWhileADecisionIsDue() {
  zoo::Stream stream(front_end, body, g_golden_columns_per_decision);
  const std::size_t taken = stream.Feed(g_golden_pcm, g_golden_pcm_len);
  return stream.Due() && taken < g_golden_pcm_len && stream.Feed(g_golden_pcm + taken, 1) == 0 &&
         stream.Decide() != nullptr && !stream.Due() && stream.Feed(g_golden_pcm + taken, 1) == 1;
}

bool NoDecisionIsMadeBeforeItIsDue() {
  zoo::Stream stream(front_end, body, g_golden_columns_per_decision);
  stream.Feed(g_golden_pcm, zoo::kColumnFieldSamples);
  return !stream.Due() && stream.Decide() == nullptr && !stream.Failed();
}

bool AFrontEndThatFailsStopsTheStream() {
  zoo::Stream stream(front_end, body, g_golden_columns_per_decision);
  const std::int16_t unknown[zoo::kColumnFieldSamples] = {};  // no recorded column heard silence
  const std::size_t but_one = zoo::kColumnFieldSamples - 1;
  return stream.Feed(unknown, but_one) == but_one && !stream.Failed() && stream.Feed(unknown, 1) == 1 &&
         stream.Failed() && stream.columns() == 0 && stream.Feed(unknown, 1) == 0 && stream.Decide() == nullptr;
}

bool ABodyThatFailsStopsTheStream() {
  struct : zoo::Body {
    zoo::ColumnValue* Window() override { return body.window; }
    const zoo::Score* Run() override { return nullptr; }
  } broken;
  zoo::Stream stream(front_end, broken, g_golden_columns_per_decision);
  const std::size_t taken = stream.Feed(g_golden_pcm, g_golden_pcm_len);
  return stream.Due() && !stream.Failed() && stream.Decide() == nullptr && stream.Failed() &&
         stream.Feed(g_golden_pcm + taken, 1) == 0 && stream.Decide() == nullptr;
}

bool ADecisionWithoutANewColumnIsRefused() {
  zoo::Stream stream(front_end, body, 0);
  return stream.Failed() && stream.Feed(g_golden_pcm, 1) == 0 && stream.Decide() == nullptr;
}

void Tell(const char* claim, bool holds) { std::printf("%s: %s\n", claim, holds ? "yes" : "no"); }

}  // namespace

int main() {
  Tell("one sample at a time gives the golden scores", GivesTheGoldenScores(One));
  Tell("everything at once gives the golden scores", GivesTheGoldenScores(Everything));
  Tell("random chunks give the golden scores", RandomChunksGiveTheGoldenScores());
  Tell("60 s compute every column once", SixtySecondsComputeEveryColumnOnce());
  Tell("nothing is taken while a decision is due", NothingIsTakenWhileADecisionIsDue());
  Tell("no decision is made before it is due", NoDecisionIsMadeBeforeItIsDue());
  Tell("a front end that fails stops the stream", AFrontEndThatFailsStopsTheStream());
  Tell("a body that fails stops the stream", ABodyThatFailsStopsTheStream());
  Tell("a decision without a new column is refused", ADecisionWithoutANewColumnIsRefused());
  return 0;
}
