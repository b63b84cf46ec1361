// The tagger's small parts: batches and their order, scores, UTF-8, the Reber grammar, what the progress says, lists of
// words.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "corpus.h"
#include "metrics.h"
#include "progress.h"
#include "reber.h"
#include "tagger_support.h"
#include "text.h"
#include "utf8.h"
#include "word_dropout.h"
#include "word_list.h"

namespace tagger {
namespace {

// Sentence s has lengths[s] words, all of them 100 + s.
Corpus corpus_of(const std::vector<int64_t>& lengths) {
  Corpus corpus;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const std::vector<int64_t> words(static_cast<size_t>(lengths[s]), 100 + static_cast<int64_t>(s));
    corpus.add_sentence(words, words);
  }
  return corpus;
}

TEST(TaggerCorpus, FillAndLimits) {
  const Corpus corpus = corpus_of({2, 0, 3, 1});
  EXPECT_EQ(corpus.tokens(), 6);
  Batch batch;
  const std::vector<int64_t> sentences = {3, 1, 0};
  corpus.fill(sentences.data(), 3, &batch);
  EXPECT_EQ(batch.lengths, (std::vector<int64_t>{1, 0, 2}));
  EXPECT_EQ(batch.words, (std::vector<int64_t>{103, 100, 100}));
  EXPECT_EQ(batch.tags, batch.words);
  const BatchLimits limits = corpus.limits(2);
  EXPECT_EQ(limits.batch, 2);
  EXPECT_EQ(limits.length, 3);
  EXPECT_EQ(limits.tokens, 5);
  EXPECT_EQ(corpus.limits(100).batch, 4);
  EXPECT_EQ(Corpus().limits(8).tokens, 0);
}

TEST(TaggerCorpus, CharactersOfWords) {
  using tagger_test::row;
  const Document document(row("1", "ab", "X") + row("2", "c", "X") + "\n" + row("1", "ba\xC3\xA4", "X"), "f",
                          Column::kUpos);
  const Vocabulary vocabulary({"ab", "c"}, {"X"}, {0, false, Vocabulary::characters_of({"ab", "ba", "c", "cc"})});
  EXPECT_EQ(vocabulary.extras().characters, (std::vector<std::string>{"a", "b", "c"}));
  const Corpus corpus(document, vocabulary);
  EXPECT_EQ(corpus.limits(1).characters, 3);
  EXPECT_EQ(corpus.limits(2).characters, 6);
  Batch batch;
  const std::vector<int64_t> sentences = {1, 0};
  for (int round = 0; round < 2; ++round) {
    corpus.fill(sentences.data(), 2, &batch);
    EXPECT_EQ(batch.character_starts, (std::vector<int64_t>{0, 3, 5, 6}));
    EXPECT_EQ(batch.characters, (std::vector<int64_t>{2, 1, 0, 1, 2, 3}));
  }
}

TEST(TaggerCorpus, OrdersHoldEverySentenceOnce) {
  std::vector<int64_t> lengths;
  for (int64_t s = 0; s < 103; ++s) lengths.push_back(s * 37 % 11);
  const Corpus corpus = corpus_of(lengths);
  std::vector<int64_t> all(103);
  for (int64_t s = 0; s < 103; ++s) all[static_cast<size_t>(s)] = s;
  Random random(5), same(5), other(6);
  const std::vector<int64_t> order = shuffled_order(corpus, &random);
  EXPECT_EQ(order, shuffled_order(corpus, &same));
  EXPECT_NE(order, shuffled_order(corpus, &other));
  EXPECT_NE(order, shuffled_order(corpus, &random));  // the next epoch has another
  std::vector<int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, all);
  const std::vector<int64_t> longest = longest_first(corpus);
  for (size_t k = 1; k < longest.size(); ++k) EXPECT_GE(corpus.length(longest[k - 1]), corpus.length(longest[k]));
}

TEST(TaggerWordDropout, HidesRareWordsMostly) {
  Corpus corpus;  // word 2 occurs once, word 3 nine times
  corpus.add_sentence({2, 3, 3, 3, 3, 3, 3, 3, 3, 3}, std::vector<int64_t>(10, 0));
  const WordDropout dropout(corpus, 4, 0.25);
  Random random(1);
  constexpr int kTimes = 20000;
  int rare = 0, frequent = 0;
  for (int k = 0; k < kTimes; ++k) {
    Batch batch;
    batch.words = {2, 3};
    dropout.apply(&batch, &random);
    rare += batch.words[0] == Vocabulary::kUnknown;
    frequent += batch.words[1] == Vocabulary::kUnknown;
  }
  EXPECT_NEAR(rare / double(kTimes), 0.25 / 1.25, 0.015);  // 5 standard deviations
  EXPECT_NEAR(frequent / double(kTimes), 0.25 / 9.25, 0.006);
  Batch batch;
  batch.words = {2, 3};
  WordDropout(corpus, 4, 0).apply(&batch, &random);
  EXPECT_EQ(batch.words, (std::vector<int64_t>{2, 3}));
}

TEST(TaggerRandom, UniformAndNormalHaveTheirMoments) {
  Random random(3);
  double sum = 0, squares = 0, uniform = 0;
  constexpr int kCount = 100000;
  for (int k = 0; k < kCount; ++k) {
    const double x = random.normal(), u = random.uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += x;
    squares += x * x;
    uniform += u;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.015);  // 5 standard deviations
  EXPECT_NEAR(squares / kCount, 1, 0.025);
  EXPECT_NEAR(uniform / kCount, 0.5, 0.005);
}

TEST(TaggerMetrics, Scores) {
  Scores scores;
  scores.add("N", "N", true);
  scores.add("N", "V", false);
  scores.add("V", "V", true);
  scores.add("NEW", "V", false);  // a tag that training has not seen
  EXPECT_EQ(scores.tokens(), 4);
  EXPECT_DOUBLE_EQ(scores.accuracy(), 0.5);
  EXPECT_DOUBLE_EQ(scores.oov_accuracy(), 0);
  const auto json = nlohmann::json::parse(scores.to_json());
  EXPECT_EQ(json["tokens"], 4);
  EXPECT_EQ(json["oov_tokens"], 2);
  EXPECT_EQ(json["accuracy"], 0.5);
  EXPECT_EQ(json["oov_accuracy"], 0.0);
  EXPECT_EQ(json["tags"]["N"], (nlohmann::json{{"precision", 1.0}, {"recall", 0.5}, {"f1", 2.0 / 3}, {"tokens", 2}}));
  EXPECT_EQ(json["tags"]["V"], (nlohmann::json{{"precision", 1.0 / 3}, {"recall", 1.0}, {"f1", 0.5}, {"tokens", 1}}));
  EXPECT_EQ(json["tags"]["NEW"], (nlohmann::json{{"precision", 0.0}, {"recall", 0.0}, {"f1", 0.0}, {"tokens", 1}}));
  EXPECT_NE(scores.to_text().find("accuracy      0.5000"), std::string::npos);
}

TEST(TaggerMetrics, NoUnknownWord) {
  Scores scores;
  scores.add("N", "N", true);
  EXPECT_TRUE(nlohmann::json::parse(scores.to_json())["oov_accuracy"].is_null());
}

TEST(TaggerMetrics, NoWord) {
  const auto json = nlohmann::json::parse(Scores().to_json());
  EXPECT_EQ(json["tokens"], 0);
  EXPECT_TRUE(json["accuracy"].is_null());
  EXPECT_TRUE(json["oov_accuracy"].is_null());
  EXPECT_EQ(json["tags"], nlohmann::json::object());
  EXPECT_EQ(Scores().to_text(), "tokens        0\naccuracy      none: there is no word to compare\n");
}

TEST(TaggerText, InQuotes) {
  EXPECT_EQ(in_quotes(""), "\"\"");
  EXPECT_EQ(in_quotes("a \"b\" \\ \xC3\xA4\xF0\x9F\x98\x80"), "\"a \\\"b\\\" \\\\ \xC3\xA4\xF0\x9F\x98\x80\"");
  EXPECT_EQ(in_quotes("\t\n\r\x1B\x7F\xC2\x9B\xE2\x80\x8B\xC2\xA0"),
            "\"\\t\\n\\r\\u001b\\u007f\\u009b\\u200b\\u00a0\"");
  // What turns a terminal's text around, and two halves beyond the first plane.
  EXPECT_EQ(in_quotes("a\xE2\x80\xAE\xE2\x81\xA6z"), "\"a\\u202e\\u2066z\"");
  EXPECT_EQ(in_quotes("\xEF\xB8\x8F\xF3\xA0\x81\x81"), "\"\\ufe0f\\udb40\\udc41\"");
  EXPECT_EQ(in_quotes("a\xFF\x80z"), "\"a??z\"");
  EXPECT_EQ(in_quotes(std::string(40, 'a')), "\"" + std::string(40, 'a') + "\"");
  EXPECT_EQ(in_quotes(std::string(41, 'a')), "\"" + std::string(40, 'a') + "...\"");
  // Cut between characters.
  EXPECT_EQ(in_quotes(std::string(39, 'a') + "\xE2\x82\xAC\xE2\x82\xAC"),
            "\"" + std::string(39, 'a') + "\xE2\x82\xAC...\"");
}

TEST(TaggerText, LooksEmpty) {
  EXPECT_EQ(looks_empty("\xEF\xBB\xBF "), 0xFEFFu);
  EXPECT_EQ(looks_empty(" \xE2\x80\x83"), 0x20u);
  EXPECT_EQ(looks_empty("\xE3\x85\xA4\xF3\xA0\x80\xA0"), 0x3164u);
  for (const char* seen : {"", "a", " a", "\xC2\xA0.", "\xFF", " \xFF", "\x1B"})
    EXPECT_FALSE(looks_empty(seen)) << seen;
}

TEST(TaggerUtf8, WellFormed) {
  for (const char* good :
       {"", "a", "\xC2\x80", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad :
       {"\x80", "\xC1\xBF", "\xC2",
        "\xC2"
        "a",
        "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE1\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

TEST(TaggerReber, StringsAreOfTheGrammar) {
  Random random(1);
  std::set<size_t> lengths;
  std::set<char> seconds;
  for (int k = 0; k < 2000; ++k) {
    const ReberString string = embedded_reber_string(&random);
    const std::string& s = string.symbols;
    ASSERT_TRUE(is_embedded_reber(s)) << s;
    ASSERT_EQ(string.legal_next.size() + 1, s.size());
    for (size_t t = 0; t + 1 < s.size(); ++t)
      ASSERT_TRUE(string.legal_next[t] >> reber_symbol(s[t + 1]) & 1u) << s << " at " << t;
    // The long-range dependency: one symbol alone is legal at the second place from the end, the second of all.
    ASSERT_EQ(string.legal_next[s.size() - 3], 1u << reber_symbol(s[1])) << s;
    lengths.insert(s.size());
    seconds.insert(s[1]);
  }
  EXPECT_EQ(*lengths.begin(), 9u);
  EXPECT_GT(lengths.size(), 15u);
  EXPECT_EQ(seconds, (std::set<char>{'P', 'T'}));
}

TEST(TaggerReber, OtherStringsAreNot) {
  EXPECT_TRUE(is_embedded_reber("BTBTXSETE"));
  EXPECT_TRUE(is_embedded_reber("BPBPVVEPE"));
  for (const char* bad : {"", "BTE", "BTBTXSEPE", "BPBTXSETE", "BTBTXSET", "TTBTXSETE", "BXBTXSEXE", "BTBTXXETE",
                          "BTBTXSETEE", "BTBTXSEETE"})
    EXPECT_FALSE(is_embedded_reber(bad)) << bad;
}

TEST(TaggerProgress, Texts) {
  EXPECT_EQ(clock_text(0), "0:00");
  EXPECT_EQ(clock_text(59.6), "1:00");
  EXPECT_EQ(clock_text(3723), "1:02:03");
  ProgressState state;
  state.epoch = 2, state.epochs = 3, state.done = 500, state.total = 1000, state.seconds = 5;
  EXPECT_EQ(progress_bar(state), "epoch 2/3 [###############---------------]    100 tokens/s  0:15 left");
  EXPECT_EQ(progress_line(state), "epoch 2/3: 500 of 1000 tokens, 100 tokens/s, 0:15 left");
  state.done = 0;
  EXPECT_EQ(progress_bar(state), "epoch 2/3 [------------------------------]      0 tokens/s  ");
}

TEST(TaggerWordList, FindsEveryWordThroughGrowth) {
  WordList words;
  EXPECT_FALSE(words.find("0"));
  const auto word = [](size_t k) { return k == 7 ? std::string() : std::to_string(k) + std::string(k % 9, 'x'); };
  for (size_t k = 0; k < 5000; ++k) {
    EXPECT_EQ(words.find(word(k)), std::nullopt) << k;
    EXPECT_TRUE(words.add(word(k)));
    EXPECT_FALSE(words.add(word(k / 2)));
    EXPECT_EQ(words.size(), k + 1);
  }
  for (size_t k = 0; k < 5000; ++k) {
    EXPECT_EQ(words[k], word(k));
    EXPECT_EQ(words.find(word(k)), k);
  }
}

TEST(TaggerWordList, PutInFront) {
  WordList words = {"c", "dd"};
  words.put_in_front({});
  EXPECT_EQ(words, (WordList{"c", "dd"}));
  WordList front;
  for (int k = 0; k < 1000; ++k) front.add(std::to_string(k));
  words.put_in_front(front);
  ASSERT_EQ(words.size(), 1002u);
  EXPECT_EQ(words[999], "999");
  EXPECT_EQ(words[1001], "dd");
  EXPECT_EQ(words.find("0"), 0u);
  EXPECT_EQ(words.find("c"), 1000u);
  EXPECT_EQ(words.find("d"), std::nullopt);
  EXPECT_FALSE(words.add("17"));
  WordList none;
  none.put_in_front(front);
  EXPECT_EQ(none, front);
  EXPECT_NE(none, words);
  EXPECT_NE((WordList{"ab", "c"}), (WordList{"a", "bc"}));
}

}  // namespace
}  // namespace tagger
