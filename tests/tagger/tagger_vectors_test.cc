// Files of word vectors in every form and with every quirk, and what a vocabulary takes from them.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <cstring>

#include "error.h"
#include "pretrained.h"
#include "tagger_support.h"
#include "text.h"
#include "vector_file.h"

namespace tagger {
namespace {

using tagger_test::read_file;
using tagger_test::row;
using tagger_test::TempFolder;
using tagger_test::write_file;

using Rows = std::vector<std::pair<std::string, std::vector<float>>>;

struct ReadFile {
  Rows rows;
  int64_t features = 0;
  std::string form;
};

ReadFile read(const std::string& path) {
  VectorFile file(path);
  ReadFile result;
  result.features = file.features();
  result.form = file.form();
  while (file.next())
    result.rows.emplace_back(file.token(), std::vector<float>(file.values(), file.values() + file.features()));
  EXPECT_EQ(file.rows(), result.rows.size());
  return result;
}

class TaggerVectors : public testing::Test {
 protected:
  std::string path() const { return folder_ / "v"; }
  ReadFile read_text(const std::string& text) {
    write_file(path(), text);
    return read(path());
  }
  // The error without the file's name.
  std::string error_of(const std::string& text) {
    write_file(path(), text);
    try {
      read(path());
    } catch (const Error& error) {
      const std::string what = error.what();
      return what.rfind(path(), 0) == 0 ? what.substr(path().size()) : what;
    }
    return "no error";
  }
  TempFolder folder_;
};

std::string bytes_of(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::string binary_of(const Rows& rows, const std::string& after) {
  std::string text = std::to_string(rows.size()) + " " + std::to_string(rows[0].second.size()) + "\n";
  for (const auto& [token, values] : rows) text += token + " " + bytes_of(values) + after;
  return text;
}

std::string gzip(const std::string& path, const std::string& text) {
  const gzFile file = gzopen(path.c_str(), "wb");
  EXPECT_EQ(gzwrite(file, text.data(), static_cast<unsigned>(text.size())), static_cast<int>(text.size()));
  EXPECT_EQ(gzclose(file), Z_OK);
  return read_file(path);
}

const Rows kRows = {{"the", {0.25f, -1.5f, 3e-3f}}, {"caf\xC3\xA9", {0, 1, 2}}, {"10", {-1, -2, -3}}};
const std::string kText = "the 0.25 -1.5 3e-3\ncaf\xC3\xA9 0 1 +2\n10 -1 -2 -3\n";

TEST_F(TaggerVectors, EveryForm) {
  ReadFile file = read_text(kText);
  EXPECT_EQ(file.rows, kRows);
  EXPECT_EQ(file.features, 3);
  EXPECT_EQ(file.form, "text of GloVe");
  file = read_text("3 3\n" + kText);
  EXPECT_EQ(file.rows, kRows);
  EXPECT_EQ(file.form, "text of word2vec");
  for (const std::string after : {"", "\n"}) {
    file = read_text(binary_of(kRows, after));
    EXPECT_EQ(file.rows, kRows);
    EXPECT_EQ(file.form, "binary of word2vec");
  }
  for (const std::string& text : {kText, "3 3\n" + kText, binary_of(kRows, "\n")}) {
    EXPECT_EQ(read_text(gzip(path(), text)).rows, kRows);
    const std::string head = text.substr(0, 9), tail = text.substr(9);  // gzip files may be concatenated
    EXPECT_EQ(read_text(gzip(path(), head) + gzip(path(), tail)).rows, kRows);
  }
}

TEST_F(TaggerVectors, QuirksOfTexts) {
  // The spaces that word2vec and fastText leave, CR LF, a missing last newline, a byte order mark.
  EXPECT_EQ(read_text("3 3\r\nthe 0.25 -1.5 3e-3 \r\ncaf\xC3\xA9 0 1 2 \r\n10 -1 -2 -3 ").rows, kRows);
  EXPECT_EQ(read_text("\xEF\xBB\xBF" + kText).rows, kRows);
  // Tokens with spaces, no-break spaces and numbers, in the first row too.
  const Rows odd = {{"1 000", {1, 2}},
                    {"a\xC2\xA0"
                     "b",
                     {3, 4}},
                    {". . .", {5, 6}},
                    {"7", {8, 9}},
                    {"x", {1, 1}}};
  const std::string odd_text =
      "1 000 1 2\na\xC2\xA0"
      "b 3 4\n. . . 5 6\n7 8 9\nx 1 1\n";
  EXPECT_EQ(read_text(odd_text).rows, odd);
  EXPECT_EQ(read_text("5 2\n" + odd_text).rows, odd);
  // Numbers that a float cannot hold exactly, or at all.
  EXPECT_EQ(read_text("a 1e-60 0.1\n").rows[0].second, (std::vector<float>{0, 0.1f}));
  // One feature: the first row is no header.
  EXPECT_EQ(read_text("a 1\nb 2\n").rows, (Rows{{"a", {1}}, {"b", {2}}}));
  // More than one space between fields, and before what fastText ends a row with. A token of spaces is one space.
  EXPECT_EQ(read_text("the  0.25 -1.5   3e-3  \ncaf\xC3\xA9 0  1 2\n10 -1 -2  -3\n").rows, kRows);
  EXPECT_EQ(read_text("3  3 \nthe  0.25 -1.5   3e-3  \ncaf\xC3\xA9 0  1 2\n10 -1 -2  -3\n").rows, kRows);
  EXPECT_EQ(read_text("a  b   1  2\n  3 4\n").rows, (Rows{{"a  b", {1, 2}}, {" ", {3, 4}}}));
  // An empty line at the end, with and without a header, a carriage return and another row.
  for (const std::string end : {"\n", "\r\n", " ", " \n"}) {
    EXPECT_EQ(read_text(kText + end).rows, kRows);
    EXPECT_EQ(read_text("3 3\n" + kText + end).rows, kRows);
    EXPECT_EQ(read_text("a 1 2\n" + end).rows, (Rows{{"a", {1, 2}}}));
  }
  // Tokens of GloVe that end in numbers, or could be taken for some, under a header.
  const Rows glove = {{". . .", {1, 2}}, {"at name@domain.com", {3, 4}}, {"1 2", {5, 6}}, {"in 2010", {7, 8}}};
  EXPECT_EQ(read_text("4 2\n. . . 1 2\nat name@domain.com 3 4\n1 2 5 6\nin 2010 7 8\n").rows, glove);
  // A row longer than the reader's piece of the file, and many of them.
  Rows rows;
  std::string text;
  for (int k = 0; k < 40; ++k) {
    rows.emplace_back("w" + std::to_string(k), std::vector<float>(30000, static_cast<float>(k)));
    text += rows.back().first;
    for (int j = 0; j < 30000; ++j) text += " " + std::to_string(k) + ".000000";
    text += "\n";
  }
  EXPECT_EQ(read_text(text).rows, rows);
}

TEST_F(TaggerVectors, QuirksOfBinaries) {
  // Newlines, spaces in the numbers' bytes, and numbers that are text in ASCII.
  float newlines = 0, spaces = 0;
  std::memcpy(&newlines, "\n\n\n\n", 4);
  std::memcpy(&spaces, "    ", 4);
  const Rows rows = {{"a", {newlines, spaces, 1}}, {"b", {spaces, spaces, newlines}}, {"c", {1, 2, newlines}}};
  EXPECT_EQ(read_text(binary_of(rows, "\n")).rows, rows);
  EXPECT_EQ(read_text(binary_of(rows, "")).rows, rows);
  // Rows on both sides of where the reader's pieces meet.
  Rows many;
  for (int k = 0; k < 3000; ++k) many.emplace_back("w" + std::to_string(k), std::vector<float>(301, 0.5f * k));
  EXPECT_EQ(read_text(binary_of(many, "")).rows, many);
}

TEST_F(TaggerVectors, BrokenFilesNameFileAndRow) {
  EXPECT_EQ(error_of(""), " has no word vectors: it is empty");
  EXPECT_EQ(error_of("\xEF\xBB\xBF"), " has no word vectors: it holds a byte order mark alone");
  EXPECT_EQ(error_of("the cat sat\n"),
            ":1: the row \"the cat sat\" is neither a token with a vector of numbers nor the header of such rows");
  EXPECT_EQ(error_of("a 1 2\nb 1 2\nc 1\n"), ":3: the row \"c 1\" is not a token and 2 numbers");
  EXPECT_EQ(error_of("3 2\na 1 2\nb 1\nc 1 2\n"), ":3: the row \"b 1\" is not a token and 2 numbers");
  EXPECT_EQ(error_of("3 2\na 1 2\nb 1 x\nc 1 2\n"), ":3: number 2 of 2 of the token \"b\" is \"x\"");
  EXPECT_EQ(error_of("2 2\na 1 2\nb 1 nan\n"), ":3: number 2 of 2 of the token \"b\" is \"nan\"");
  EXPECT_EQ(error_of("2 2\na 1 2\nb 1e60 1\n"), ":3: number 1 of 2 of the token \"b\" is \"1e60\"");
  EXPECT_EQ(error_of("2 2\na 1 2\n\nb 1 2\n"), ":3: the row \"\" is not a token and 2 numbers");
  EXPECT_EQ(error_of("3 2\na 1 2\nb 1 2\n"), ": the header says 3 rows, but there are 2");
  EXPECT_EQ(error_of("1 2\na 1 2\nb 1 2\n"), ": the header says 1 rows, but there are more");
  EXPECT_EQ(error_of("a 1\nthe cat\nsat down\n"), " has no word vectors: most of its rows do not end in numbers");
  EXPECT_EQ(error_of("3 2\n" + kText),
            ":1: the header says that a vector has 2 features, but most rows end in 3 numbers");
  EXPECT_EQ(error_of("3 4\n" + kText), ":2: the row \"the 0.25 -1.5 3e-3\" is not a token and 4 numbers");
  EXPECT_EQ(error_of(" 1 2\n"), ":1: the row \" 1 2\" is not a token and 2 numbers");
  EXPECT_EQ(error_of("a 1 2\n\n\n"), ":2: the row \"\" is not a token and 2 numbers");
  EXPECT_EQ(error_of("5 2\n"), ": the header says 5 rows, but none follows");
  EXPECT_EQ(error_of("5 0\na\n"), ":1: the header says that a vector has 0 features, not 1 to 1048576");
  EXPECT_EQ(error_of("0 5\n"), ":1: the header says that there is no vector");
  const std::string whole = binary_of(kRows, "\n");
  EXPECT_EQ(error_of(whole.substr(0, whole.size() - 3)), ", row 3: the file is cut off: the header says 3 rows");
  EXPECT_EQ(error_of(whole.substr(0, whole.size() - 14)), ", row 3: the file is cut off: the header says 3 rows");
  EXPECT_EQ(error_of(whole + "more"), ": bytes follow the 3 rows that the header says");
  EXPECT_EQ(error_of(binary_of({{"a", {1, NAN}}}, "")), ", row 1: number 2 of 2 of the token \"a\" is nan");
  EXPECT_EQ(error_of(std::string("\xBA\x16\x4F\x2F\x0C\0\0\0", 8)),
            " is a model of fastText, not its vectors: name the .vec file that fastText wrote beside it");
  const std::string long_word((size_t{1} << 24) + (size_t{1} << 21), 'x');
  EXPECT_EQ(error_of("a 1 2\nb " + long_word), ":2: the row has no end within 16777216 bytes");
  EXPECT_EQ(error_of("2 2\n" + long_word), ", row 1: the token has no end within 16777216 bytes");
}

TEST_F(TaggerVectors, EndOfCompressedData) {
  const std::string packed = gzip(path(), kText);
  EXPECT_EQ(error_of(packed.substr(0, packed.size() - 9)), " cannot be read as gzip: it is cut off");
  EXPECT_EQ(error_of(packed + packed.substr(0, 5)), " cannot be read as gzip: it is cut off");
  const std::string ends =
      fmt::format(" cannot be read as gzip: its data ends after {} bytes of the file, and ", packed.size());
  EXPECT_EQ(error_of(packed + "x"), ends + "1 others follow");
  EXPECT_EQ(error_of(packed + std::string(2000000, '\0') + "\n"), ends + "2000001 others follow");
  EXPECT_EQ(error_of(packed + "\x1F text"), " cannot be read as gzip: incorrect header check");
  std::string wrong_sum = packed;
  wrong_sum[packed.size() - 8] ^= 1;
  EXPECT_EQ(error_of(wrong_sum), " cannot be read as gzip: incorrect data check");
  // Zeros pad a file on a tape.
  EXPECT_EQ(read_text(packed + std::string(2000000, '\0')).rows, kRows);
  // Pieces of several lengths, an empty one too; the longest is, compressed, longer than what is read of the file at
  // once.
  Rows rows;
  std::string whole;
  for (const int count : {1, 0, 200000, 30}) {
    std::string text;
    for (int k = 0; k < count; ++k) {
      rows.push_back({fmt::format("w{}", k * 7919 % 1000003), {static_cast<float>(k), 0.5f}});
      text += fmt::format("{} {} 0.5\n", rows.back().first, k);
    }
    whole += gzip(path(), text);
  }
  ASSERT_GT(whole.size(), size_t{1} << 19);
  EXPECT_TRUE(read_text(whole).rows == rows);
}

TEST(TaggerText, LowerCase) {
  EXPECT_EQ(lower_case("ABC xyz [1]"), "abc xyz [1]");
  EXPECT_EQ(lower_case("\xC3\x84\xC3\x96 \xD0\x9C \xF0\x9F\x98\x80"), "\xC3\xA4\xC3\xB6 \xD0\xBC \xF0\x9F\x98\x80");
  EXPECT_EQ(lower_case("\xFF"
                       "A"),
            "\xFF"
            "A");
}

Document document_of(const std::vector<std::string>& forms) {
  std::string text;
  for (const std::string& form : forms) text += row("1", form, "X") + "\n";
  return Document(text, "f", Column::kUpos);
}

TEST_F(TaggerVectors, FormsTakeRows) {
  // "Paris" has a row of its own, "Rome" takes that of its lower case, "Oslo" has none.
  write_file(path(),
             "paris 1 1\nParis 2 2\nrome 3 3\nParis 9 9\nlima 4 4\nBern 5 5\nlima 6 6\na\x01"
             "b 7 7\n");
  const std::vector<Document> train = {document_of({"Paris", "Rome", "Oslo", "Rome"})};
  const Document dev = document_of({"LIMA", "Paris", "Kyiv", "LIMA"});
  const Vocabulary vocabulary = Vocabulary::of(train);
  Pretrained found = read_pretrained(path(), vocabulary, train, dev, false);
  EXPECT_EQ(found.features, 2);
  EXPECT_EQ(found.rows, 8);
  EXPECT_EQ(found.duplicates, 2);
  EXPECT_EQ(found.dev_words, std::vector<std::string>{"LIMA"});
  EXPECT_EQ(found.vectors, (std::vector<float>{2, 2, 3, 3, 0, 0, 4, 4}));
  EXPECT_EQ(found.has_vector, (std::vector<bool>{true, true, false, true}));
  EXPECT_TRUE(found.other_words.empty());
  EXPECT_EQ(found.train.to_text(), "75.0 % of 4 words, 66.7 % of 3 forms (33.3 % by their lower case)");
  EXPECT_EQ(found.dev.to_text(), "75.0 % of 4 words, 66.7 % of 3 forms (33.3 % by their lower case)");

  // All rows: each token once, but for those that are words already and those that no form can be.
  found = read_pretrained(path(), vocabulary, train, dev, true);
  EXPECT_EQ(found.other_words, (WordList{"Bern", "paris", "rome", "lima"}));
  ASSERT_EQ(found.other_vectors.size(), 1u);
  EXPECT_EQ(found.other_vectors[0], (std::vector<float>{5, 5, 1, 1, 3, 3, 4, 4}));
  EXPECT_EQ(found.duplicates, 2);
  EXPECT_EQ(found.unusable, 1);
}

// A vocabulary in lower case takes the rows of tokens in lower case: of "paris" and "Paris" that of the first.
TEST_F(TaggerVectors, WordsInLowerCaseTakeRows) {
  write_file(path(), "paris 1 1\nParis 2 2\nROME 3 3\nlima 4 4\nBern 5 5\nLIMA 6 6\n");
  const std::vector<Document> train = {document_of({"Paris", "Rome", "Oslo", "PARIS"})};
  const Document dev = document_of({"LIMA", "Paris", "Kyiv", "Lima"});
  Vocabulary::Extras extras;
  extras.lower_case_words = true;
  const Vocabulary vocabulary({"paris", "rome", "oslo"}, {"X"}, extras);
  const Pretrained found = read_pretrained(path(), vocabulary, train, dev, true);
  EXPECT_EQ(found.duplicates, 2);
  EXPECT_EQ(found.dev_words, std::vector<std::string>{"lima"});
  EXPECT_EQ(found.vectors, (std::vector<float>{1, 1, 3, 3, 0, 0, 4, 4}));
  EXPECT_EQ(found.other_words, WordList{"bern"});
  EXPECT_EQ(found.train.to_text(), "75.0 % of 4 words, 75.0 % of 4 forms (75.0 % by their lower case)");
}

TEST(TaggerVocabulary, WordsInLowerCase) {
  EXPECT_EQ(Vocabulary::in_lower_case({"The", "cat", "the", "CAT", "\xC3\x84"}), (WordList{"the", "cat", "\xC3\xA4"}));
  Vocabulary::Extras extras;
  extras.not_trained = 1;
  extras.lower_case_words = true;
  const Vocabulary vocabulary({"the", "\xC3\xA4", "oslo"}, {"X"}, extras);
  EXPECT_EQ(vocabulary.word_id("THE"), 2);
  EXPECT_EQ(vocabulary.word_id("\xC3\x84"), 3);
  EXPECT_EQ(vocabulary.word_id("cat"), Vocabulary::kUnknown);
  EXPECT_TRUE(vocabulary.was_trained("The"));
  EXPECT_FALSE(vocabulary.was_trained("Oslo"));
}

TEST(TaggerVocabulary, LowerCaseAndWordsThatWereNotTrained) {
  const Vocabulary vocabulary({"Paris", "rome", "Lima", "oslo"}, {"X"}, {2, true});
  EXPECT_EQ(vocabulary.trained_words(), 2);
  EXPECT_EQ(vocabulary.word_id("Paris"), 2);
  EXPECT_EQ(vocabulary.word_id("ROME"), 3);
  EXPECT_EQ(vocabulary.word_id("PARIS"), Vocabulary::kUnknown) << "its lower case is not in the list";
  EXPECT_EQ(vocabulary.word_id("Oslo"), 5);
  EXPECT_TRUE(vocabulary.was_trained("rome"));
  EXPECT_FALSE(vocabulary.was_trained("ROME"));
  EXPECT_FALSE(vocabulary.was_trained("Lima"));
  EXPECT_EQ(Vocabulary({"rome"}, {"X"}).word_id("Rome"), Vocabulary::kUnknown);
}

}  // namespace
}  // namespace tagger
