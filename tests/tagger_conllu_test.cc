// The CoNLL-U reader and writer: what is kept byte for byte, and which line a broken row is reported with.
// SPDX-License-Identifier: Apache-2.0
#include "conllu.h"

#include <gtest/gtest.h>

#include "error.h"
#include "tagger_support.h"

namespace tagger {
namespace {

using tagger_test::row;

Document read(const std::string& text, Column column = Column::kUpos) {
  return Document(text, "a.conllu", column);
}

std::string error_of(const std::string& text) {
  try {
    read(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string replace_all(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

// Two sentences with everything that is not a word.
const std::string kText = "# newdoc\n# text = I don't\n" + row("1", "I", "PRON") + row("2-3", "don't", "_") +
                          row("2", "do", "AUX") + row("3", "n't", "PART") + row("3.1", "go", "VERB") +
                          "\n# text = Oh!\n" + row("1", "Oh", "INTJ") + row("2", "!", "PUNCT") + "\n";

TEST(TaggerConllu, WordsAndSentences) {
  const Document document = read(kText);
  ASSERT_EQ(document.sentences(), 2);
  ASSERT_EQ(document.words(), 5);
  EXPECT_EQ(document.length(0), 3);
  EXPECT_EQ(document.length(1), 2);
  const std::vector<std::string> forms = {"I", "do", "n't", "Oh", "!"};
  const std::vector<std::string> tags = {"PRON", "AUX", "PART", "INTJ", "PUNCT"};
  const std::vector<uint64_t> lines = {3, 5, 6, 10, 11};
  for (int64_t w = 0; w < 5; ++w) {
    EXPECT_EQ(document.form(w), forms[static_cast<size_t>(w)]);
    EXPECT_EQ(document.tag(w), tags[static_cast<size_t>(w)]);
    EXPECT_EQ(document.line(w), lines[static_cast<size_t>(w)]);
  }
  EXPECT_EQ(read(kText, Column::kXpos).tag(3), "X");
}

TEST(TaggerConllu, WritesOnlyTheTagColumn) {
  const std::string crlf = replace_all(kText, "\n", "\r\n");
  const std::string unended = kText.substr(0, kText.size() - 1), cut = kText.substr(0, kText.size() - 2);
  for (const std::string& text : {kText, crlf, unended, cut, "\xEF\xBB\xBF" + kText, "\n\n" + kText + "\n\n# end\n"}) {
    const Document document = read(text);
    ASSERT_EQ(document.words(), 5);
    EXPECT_EQ(document.form(0), "I");
    std::vector<std::string_view> own, others(5, "LONGER-TAG");
    for (int64_t w = 0; w < document.words(); ++w) own.push_back(document.tag(w));
    EXPECT_EQ(document.with_tags(own), text);
    std::string expected = text;
    for (const char* tag : {"PRON", "AUX", "PART", "INTJ", "PUNCT"})
      expected = replace_all(expected, std::string("\t") + tag + "\t", "\tLONGER-TAG\t");
    EXPECT_EQ(document.with_tags(others), expected);
  }
}

TEST(TaggerConllu, CrLfIsNoPartOfAValue) {
  const Document document = read("1\ta\tb\tNOUN\tX\t_\t_\t_\t_\tlast\r\n\r\n1\tc\tb\tVERB\tX\t_\t_\t_\t_\tlast\r\n");
  EXPECT_EQ(document.sentences(), 2);
  EXPECT_EQ(document.tag(1), "VERB");
}

TEST(TaggerConllu, EmptyNodeBeforeTheFirstWord) {
  EXPECT_EQ(read(row("0.1", "x", "_") + row("1", "a", "X")).words(), 1);
}

TEST(TaggerConllu, BrokenRowsNameFileAndLine) {
  const std::string head = "# c\n" + row("1", "a", "X");
  EXPECT_EQ(error_of(head + "2\tb\tX\n"), "a.conllu:3: a row has 10 columns separated by tabs, this one has 3");
  EXPECT_EQ(error_of(head + " \n"), "a.conllu:3: a row has 10 columns separated by tabs, this one has 1");
  EXPECT_EQ(error_of(head + "2\tb\t_\tX\t_\t_\t_\t_\t_\t_\t_\n"),
            "a.conllu:3: a row has 10 columns separated by tabs, this one has 11");
  EXPECT_EQ(error_of(head + row("3", "b", "X")), "a.conllu:3: the ID is \"3\", but 2 comes next");
  EXPECT_EQ(error_of(head + row("1", "b", "X")), "a.conllu:3: the ID is \"1\", but 2 comes next");
  EXPECT_EQ(error_of(head + "\n" + row("2", "b", "X")), "a.conllu:4: the ID is \"2\", but 1 comes next");
  EXPECT_EQ(error_of(head + row("x", "b", "X")), "a.conllu:3: the ID \"x\" is no number, range or decimal");
  EXPECT_EQ(error_of(head + row("-2", "b", "X")), "a.conllu:3: the ID \"-2\" is no number, range or decimal");
  EXPECT_EQ(error_of(head + row("2-", "b", "X")), "a.conllu:3: the ID \"2-\" is no number, range or decimal");
  EXPECT_EQ(error_of(head + row("2-3-4", "b", "X")), "a.conllu:3: the ID \"2-3-4\" is no number, range or decimal");
  EXPECT_EQ(error_of(head + row("99999999999999999999", "b", "X")),
            "a.conllu:3: the ID \"99999999999999999999\" is no number, range or decimal");
  EXPECT_EQ(error_of(head + row("5-6", "b", "X")), "a.conllu:3: the range \"5-6\" does not start at the next word, 2");
  EXPECT_EQ(error_of(head + row("2-1", "b", "X")), "a.conllu:3: the range \"2-1\" does not start at the next word, 2");
  EXPECT_EQ(error_of(head + row("2.1", "b", "X")), "a.conllu:3: the empty node \"2.1\" does not follow word 1");
  EXPECT_EQ(error_of(head + row("2", "", "X")), "a.conllu:3: column 2 (FORM) is empty");
  EXPECT_EQ(error_of(head + row("2", "b", "")), "a.conllu:3: column 4 (UPOS) is empty");
  EXPECT_EQ(error_of(head + row("2", "\xC3(", "X")), "a.conllu:3: FORM is not UTF-8");
  EXPECT_EQ(error_of(head + row("2", "b", "\xFF")), "a.conllu:3: UPOS is not UTF-8");
}

TEST(TaggerConllu, TextWithoutAWordIsAnError) {
  for (const char* text : {"", "\n\n", "# only a comment\n\n", "\r\n"})
    EXPECT_EQ(error_of(text), "a.conllu: no sentence in it");
  EXPECT_EQ(error_of(row("0.1", "x", "_") + "\n"), "a.conllu: no sentence in it");
}

TEST(TaggerConllu, MissingTagsNameFileAndLine) {
  const Document document = read(row("1", "a", "X") + row("2", "b", "_"));
  try {
    document.require_tags();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "a.conllu:2: the word has no tag in column 4 (UPOS)");
  }
  read(kText).require_tags();  // ranges and empty nodes need none
}

}  // namespace
}  // namespace tagger
