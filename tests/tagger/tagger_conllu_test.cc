// The CoNLL-U reader and writer: what is kept byte for byte, and which line a broken row is reported with.
// SPDX-License-Identifier: Apache-2.0
#include "conllu.h"

#include <gtest/gtest.h>

#include <algorithm>

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
  const std::string plain = error_of("# a comment\nThe farmer walked .\n");
  EXPECT_EQ(plain.find("a.conllu:2: there is no tab, so this is not CoNLL-U, "), 0u) << plain;
  EXPECT_NE(plain.find("by: awk '{ for (i = 1; "), std::string::npos) << plain;
  EXPECT_EQ(error_of(head + "2\tb\tX\n"), "a.conllu:3: a row has 10 columns separated by tabs, this one has 3");
  EXPECT_EQ(error_of(head + "2 b\n"), "a.conllu:3: a row has 10 columns separated by tabs, this one has 1");
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

TEST(TaggerConllu, RangesAndEmptyNodesOfEachWord) {
  // A token may be one word alone, and several ranges and empty nodes may stand in a sentence.
  const Document document(read(row("1-1", "Oh", "_") + row("1", "oh", "X") + row("1.1", "e", "_") +
                               row("1.2", "e", "_") + row("2-2", "b", "_") + row("2", "b", "Y") + "\n"));
  EXPECT_EQ(document.words(), 2);
  EXPECT_EQ(document.tag(1), "Y");
  std::string seven;
  for (int k = 1; k <= 7; ++k) seven += row(std::to_string(k), "w", "X");
  EXPECT_EQ(error_of(seven + row("8-8", "a", "_") + row("8", "a", "X")), "no error");
  EXPECT_EQ(error_of(seven + row("8-9", "a", "_") + row("8", "a", "X") + row("9", "a", "X")), "no error");
  EXPECT_EQ(error_of(seven + row("7-8", "a", "_") + row("8", "a", "X")),
            "a.conllu:8: the range \"7-8\" does not start at the next word, 8");
}

TEST(TaggerConllu, AByteOrderMarkIsNamedWhereItMayNotStand) {
  const std::string mark = "\xEF\xBB\xBF", text = row("1", "a", "X") + "\n";
  const std::string error =
      ": the line starts with a byte order mark (U+FEFF), which may stand at the very start of a file alone";
  // Files that were joined, each with a mark of its own.
  EXPECT_EQ(error_of(mark + text + mark + text), "a.conllu:3" + error);
  EXPECT_EQ(error_of(text + mark + "# c\n" + text), "a.conllu:3" + error);
  EXPECT_EQ(error_of(text + mark + "\n"), "a.conllu:3" + error);
  EXPECT_EQ(error_of(text + mark), "a.conllu:3" + error);
  EXPECT_EQ(error_of(mark + mark + text), "a.conllu:1" + error);
  EXPECT_EQ(read(mark).words(), 0);
  EXPECT_EQ(error_of(std::string("\xFF\xFE\x31\x00", 4)), "a.conllu:1: the text is UTF-16, but CoNLL-U is UTF-8");
  EXPECT_EQ(error_of(std::string("\xFE\xFF\x00\x31", 4)), "a.conllu:1: the text is UTF-16, but CoNLL-U is UTF-8");
}

TEST(TaggerConllu, ALineThatLooksEmptyIsNamed) {
  const std::string head = row("1", "a", "X");
  const std::pair<const char*, const char*> blanks[] = {
      {" ", "a space (U+0020)"},
      {"   \t", "a space (U+0020)"},
      {"\t", "a tab (U+0009)"},
      {"\t\t\t\t\t\t\t\t\t", "a tab (U+0009)"},
      {"\xC2\xA0", "a no-break space (U+00A0)"},
      {"\xC2\xA0 \t", "a no-break space (U+00A0)"},
      {"\xE3\x80\x80", "the character (U+3000)"},
      {"\xE2\x80\x8B", "the character (U+200B)"},
      {"\xE2\x80\xA8", "the character (U+2028)"},
      {"\xC2\x85", "the character (U+0085)"},
      {"\f", "the character (U+000C)"},
      {"\r\r", "a carriage return (U+000D)"},
  };
  for (const auto& [blank, name] : blanks) {
    const std::string error =
        "a.conllu:2: the line looks empty, but holds " + std::string(name) + ": only an empty line ends a sentence";
    EXPECT_EQ(error_of(head + blank + "\n" + head), error);
    EXPECT_EQ(error_of(head + blank + "\r\n" + head), error);
    EXPECT_EQ(error_of(head + blank), error);
  }
  EXPECT_EQ(error_of(row("1", "\xC2\xA0", "X")), "no error") << "a form may be what is not seen";
}

TEST(TaggerConllu, ControlCharactersAreNamed) {
  EXPECT_EQ(error_of(row("1", "a\rb", "X")),
            "a.conllu:1: there is a carriage return (U+000D) inside the line: a line ends with LF or CR LF");
  std::string old_mac = row("1", "a", "X") + row("2", "b", "X");
  std::replace(old_mac.begin(), old_mac.end(), '\n', '\r');
  EXPECT_EQ(error_of(old_mac),
            "a.conllu:1: there is a carriage return (U+000D) inside the line: a line ends with LF or CR LF");
  EXPECT_EQ(error_of(row("1", std::string("a\0b", 3), "X")),
            "a.conllu:1: FORM \"a\\u0000b\" holds the character (U+0000)");
  EXPECT_EQ(error_of(row("1", "a b", "X")), "no error") << "a form may hold spaces";
}

TEST(TaggerConllu, TextWithoutAWord) {
  for (const std::string& text :
       {std::string(), std::string("\n\n"), std::string("# only a comment\n\n"), std::string("\r\n"),
        std::string("# unended"), row("0.1", "x", "_") + "\n", row("1-2", "x", "_")}) {
    const Document document = read(text);
    EXPECT_EQ(document.sentences(), 0);
    EXPECT_EQ(document.words(), 0);
    EXPECT_EQ(document.with_tags({}), text);
    document.check_tags();
    try {
      document.require_tags();
      FAIL();
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "a.conllu: no sentence in it");
    }
  }
  read(kText).require_tags();
}

TEST(TaggerConllu, TagsThatNoModelCanHaveNameFileAndLine) {
  const auto tags_error = [](const std::string& tag) -> std::string {
    const Document document = read(row("1", "a", "X") + row("2", "b", tag));
    try {
      document.check_tags();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(tags_error("A B"), "a.conllu:2: the tag \"A B\" in column 4 (UPOS) holds a space (U+0020)");
  EXPECT_EQ(tags_error("A\xC2\xA0"),
            "a.conllu:2: the tag \"A\\u00a0\" in column 4 (UPOS) holds a no-break space (U+00A0)");
  EXPECT_EQ(tags_error("A\x1B[31m"),
            "a.conllu:2: the tag \"A\\u001b[31m\" in column 4 (UPOS) holds the character (U+001B)");
  EXPECT_EQ(tags_error("\xEF\xBB\xBF\x41"),
            "a.conllu:2: the tag \"\\ufeffA\" in column 4 (UPOS) holds a byte order mark (U+FEFF)");
  EXPECT_EQ(tags_error("A\xE2\x80\x8D"),
            "a.conllu:2: the tag \"A\\u200d\" in column 4 (UPOS) holds the character (U+200D)");
  EXPECT_EQ(tags_error("PRP$"), "no error");
  EXPECT_EQ(tags_error("\xC3\x84"), "no error");
}

TEST(TaggerConllu, WordsMayHaveNoTag) {
  const Document document = read(row("1", "a", "X") + row("2", "b", "_"));
  EXPECT_TRUE(document.has_tag(0));
  EXPECT_FALSE(document.has_tag(1));
  EXPECT_EQ(document.tagged_words(), 1);
  document.check_tags();
  document.require_tags();
  try {
    read(row("1", "a", "_") + row("2", "b", "_")).require_tags();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "a.conllu: none of its 2 words has a tag in column 4 (UPOS)");
  }
}

}  // namespace
}  // namespace tagger
