// The safetensors reader and writer: the bytes of the format, and every way in which a header can be wrong.
// SPDX-License-Identifier: Apache-2.0
#include "safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "error.h"
#include "tagger_support.h"

namespace tagger {
namespace {

using tagger_test::read_file;
using tagger_test::TempFolder;
using tagger_test::write_file;

std::string header_error(const std::string& json, uint64_t data_bytes) {
  try {
    parse_safetensors_header(json, data_bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string file_error(const std::string& path) {
  try {
    SafetensorsReader reader(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return '"' + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + '}';
}

std::string with_length(const std::string& header, const std::string& data) {
  const uint64_t bytes = header.size();
  return std::string(reinterpret_cast<const char*>(&bytes), sizeof bytes) + header + data;
}

TEST(TaggerSafetensors, RoundTrip) {
  const TempFolder folder;
  const std::vector<float> a = {1.5f, -2, 3e-30f, 4, 5, 6}, b = {7};
  const std::vector<TensorData> written = {{"a.weight", {2, 3}, {{a.data(), 2}, {a.data() + 2, 0}, {a.data() + 2, 4}}},
                                           {"b", {1}, {{b.data(), 1}}},
                                           {"none", {0, 4}, {}},
                                           {"scalar", {}, {{b.data(), 1}}}};
  write_safetensors(folder / "x", written);
  const SafetensorsReader reader(folder / "x");
  ASSERT_EQ(reader.tensors().size(), written.size());
  for (const TensorData& expected : written) {
    const TensorEntry* found = reader.find(expected.name);
    ASSERT_TRUE(found) << expected.name;
    EXPECT_EQ(found->shape, expected.shape);
    std::vector<float> values((found->end - found->begin) / sizeof(float));
    reader.read(*found, 0, values.data(), static_cast<int64_t>(values.size()));
    EXPECT_TRUE(values.empty() || !std::memcmp(values.data(), expected.pieces[0].data, values.size() * sizeof(float)));
  }
  EXPECT_EQ(reader.find("c"), nullptr);
}

TEST(TaggerSafetensors, BytesOfTheFormat) {
  const TempFolder folder;
  const float one = 1;
  write_safetensors(folder / "x", {{"t", {1}, {{&one, 1}}}});
  const std::string bytes = read_file(folder / "x");
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  EXPECT_EQ(header % 8, 0u);
  ASSERT_EQ(bytes.size(), 8 + header + 4);
  EXPECT_EQ(bytes.substr(8, header).find(
                R"({"__metadata__":{"format":"pt"},"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})"),
            0u);
  EXPECT_EQ(bytes.substr(8 + header), std::string("\0\0\x80\x3f", 4));
}

TEST(TaggerSafetensors, AcceptsAnyOrderAndMetadata) {
  const auto tensors =
      parse_safetensors_header("{" + tensor("z", "F32", "[1]", "[0,4]") + R"(,"__metadata__":{"k":"v"},)" +
                                   tensor("a", "F32", "[2]", "[4,12]") + "}   ",
                               12);
  EXPECT_EQ(tensors.size(), 2u);
}

TEST(TaggerSafetensors, WrongHeaders) {
  const auto one = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return "{" + tensor("t", dtype, shape, offsets) + "}";
  };
  EXPECT_EQ(header_error("", 0), "the header is empty");
  EXPECT_EQ(header_error("{\"t\":", 0), "the header is no JSON object: it is wrong or breaks off at byte 6");
  EXPECT_EQ(header_error("{\"t\":1e999}", 0), "the header is no JSON object: a number in it is too large");
  EXPECT_EQ(header_error("{\"\xFF\":1}", 0), "the header is no JSON object: it is wrong or breaks off at byte 3");
  EXPECT_EQ(header_error("{\"t\":3}", 0), "tensor \"t\" has no dtype, shape and data_offsets");
  EXPECT_EQ(header_error(one("F16", "[2]", "[0,4]"), 4), "tensor \"t\" is not of dtype F32");
  EXPECT_EQ(header_error(one("F32", "2", "[0,8]"), 8), "tensor \"t\" has a shape or data_offsets that is no list");
  EXPECT_EQ(header_error(one("F32", "[2]", "[0]"), 8), "tensor \"t\" has a shape or data_offsets that is no list");
  EXPECT_EQ(header_error(one("F32", "[-2]", "[0,8]"), 8), "a dimension of tensor \"t\" is no whole number");
  EXPECT_EQ(header_error(one("F32", "[2.5]", "[0,8]"), 8), "a dimension of tensor \"t\" is no whole number");
  EXPECT_EQ(header_error(one("F32", "[NaN]", "[0,8]"), 8),
            "the header is no JSON object: it is wrong or breaks off at byte 30");
  EXPECT_EQ(header_error(one("F32", "[null]", "[0,8]"), 8), "a dimension of tensor \"t\" is no whole number");
  EXPECT_EQ(header_error(one("F32", "[\"2\"]", "[0,8]"), 8), "a dimension of tensor \"t\" is no whole number");
  EXPECT_EQ(header_error(one("F32", "[18446744073709551616]", "[0,8]"), 8),
            "a dimension of tensor \"t\" is no whole number");
  EXPECT_EQ(header_error(one("F32", "[1]", "[18446744073709551612,0]"), 0),
            "tensor \"t\" has offsets that do not fit its shape");
  EXPECT_EQ(header_error(one("F32", "[2]", "[0,-8]"), 8), "an offset of tensor \"t\" is no whole number");
  EXPECT_EQ(header_error(one("F32", "[4294967296,4294967296]", "[0,0]"), 0), "tensor \"t\" is too large");
  EXPECT_EQ(header_error(one("F32", "[9223372036854775808]", "[0,0]"), 0), "tensor \"t\" is too large");
  EXPECT_EQ(header_error(one("F32", "[2]", "[0,4]"), 4), "tensor \"t\" has offsets that do not fit its shape");
  EXPECT_EQ(header_error(one("F32", "[2]", "[8,0]"), 8), "tensor \"t\" has offsets that do not fit its shape");
  EXPECT_EQ(header_error(one("F32", "[2]", "[4,12]"), 12), "tensor \"t\" leaves a gap or overlaps another");
  EXPECT_EQ(
      header_error("{" + tensor("a", "F32", "[2]", "[0,8]") + "," + tensor("b", "F32", "[2]", "[4,12]") + "}", 12),
      "tensor \"b\" leaves a gap or overlaps another");
  EXPECT_EQ(header_error(one("F32", "[2]", "[0,8]"), 4), "the tensors need 8 bytes of data, the file holds 4");
  EXPECT_EQ(header_error("{}", 4), "the tensors need 0 bytes of data, the file holds 4");
}

TEST(TaggerSafetensors, KeysThatStandTwice) {
  const std::string a = tensor("a", "F32", "[1]", "[0,4]");
  EXPECT_EQ(header_error("{" + a + "," + tensor("a", "F32", "[1]", "[4,8]") + "}", 8),
            "the header has the key \"a\" twice");
  // The same key by another spelling.
  EXPECT_EQ(header_error("{" + a + "," + tensor("\\u0061", "F32", "[1]", "[4,8]") + "}", 8),
            "the header has the key \"a\" twice");
  EXPECT_EQ(header_error(R"({"a":{"dtype":"F32","shape":[2],"shape":[1],"data_offsets":[0,4]}})", 4),
            "the header has the key \"shape\" twice");
  EXPECT_EQ(header_error(R"({"__metadata__":{},"__metadata__":{}})", 0),
            "the header has the key \"__metadata__\" twice");
  EXPECT_EQ(header_error("{" + a + "," + tensor("b", "F32", "[1]", "[4,8]") + "}", 8), "no error");
}

TEST(TaggerSafetensors, NothingStandsAroundTheJson) {
  const std::string json = "{" + tensor("a", "F32", "[1]", "[0,4]") + "}";
  const auto begins_with = [](const std::string& byte) {
    return "the header begins with byte 0x" + byte + ", not with \"{\"";
  };
  EXPECT_EQ(header_error(" " + json, 4), begins_with("20"));
  EXPECT_EQ(header_error("\n" + json, 4), begins_with("0A"));
  EXPECT_EQ(header_error("\xEF\xBB\xBF" + json, 4), begins_with("EF"));
  EXPECT_EQ(header_error("[1]", 0), begins_with("5B"));
  EXPECT_EQ(header_error("null", 0), begins_with("6E"));
  EXPECT_EQ(header_error(json + "  ", 4), "no error");
  const std::string after = "the header goes on after the end of its JSON";
  for (const char* rest : {"x", "  x", "{}", ",", "}", "//"})
    EXPECT_EQ(header_error(json + rest, 4).substr(0, after.size()), after) << rest;
  EXPECT_EQ(header_error(json + std::string(1, '\0'), 4).substr(0, after.size()), after);
  EXPECT_EQ(header_error(json + "\n", 4), after + " with byte 0x0A: only spaces may follow");
  EXPECT_EQ(header_error(json + " \t ", 4), after + " with byte 0x09: only spaces may follow");
}

// Each would take many times its own size as a tree of values.
TEST(TaggerSafetensors, DeepAndLongHeadersAreRefusedAsTheyAreRead) {
  const std::string deep = "{\"a\":" + std::string(5'000'000, '[');
  EXPECT_EQ(header_error(deep, 0), "the header is nested deeper than 16 levels");
  std::string objects = "{";
  for (int k = 0; k < 100'000; ++k) objects += "\"a\":{";
  EXPECT_EQ(header_error(objects, 0), "the header is nested deeper than 16 levels");
  std::string ones = "1";
  for (int k = 0; k < 1'000'000; ++k) ones += ",1";
  EXPECT_EQ(header_error("{" + tensor("a", "F32", "[" + ones + "]", "[0,4]") + "}", 4),
            "the header has a list of more than 64 entries");
  ones = "1";
  for (int k = 1; k < 64; ++k) ones += ",1";
  EXPECT_EQ(header_error("{" + tensor("a", "F32", "[" + ones + "]", "[0,4]") + "}", 4), "no error");
}

TEST(TaggerSafetensors, MoreTensorsThanAnyModelHasAreRefusedAsTheyAreRead) {
  const auto empty_tensors = [](int count) {
    std::string header = "{";
    for (int k = 0; k < count; ++k)
      header += (k > 0 ? "," : "") + tensor("t" + std::to_string(k), "F32", "[0]", "[0,0]");
    return header + "}";
  };
  EXPECT_EQ(header_error(empty_tensors(4096), 0), "no error");
  EXPECT_EQ(header_error(empty_tensors(4097), 0), "the header has an object of more than 4096 keys");
}

TEST(TaggerSafetensors, NamesThatCouldDisturbATerminalAreEscaped) {
  EXPECT_EQ(header_error("{" + tensor("\\u001b[2J\\n\\u009b", "F16", "[1]", "[0,2]") + "}", 2),
            "tensor \"\\u001b[2J\\n\\u009b\" is not of dtype F32");
}

TEST(TaggerSafetensors, EveryCutFileIsAnError) {
  const TempFolder folder;
  const std::vector<float> values(10, 1);
  write_safetensors(folder / "x", {{"t", {10}, {{values.data(), 4}, {values.data() + 4, 6}}}});
  const std::string whole = read_file(folder / "x");
  for (size_t size = 0; size < whole.size(); ++size) {
    write_file(folder / "x", whole.substr(0, size));
    EXPECT_NE(file_error(folder / "x").find("is no safetensors file of a model"), std::string::npos) << size;
  }
  write_file(folder / "x", whole + "!");
  EXPECT_NE(file_error(folder / "x").find("the tensors need 40 bytes of data, the file holds 41"), std::string::npos);
}

TEST(TaggerSafetensors, HeaderLengthIsCheckedBeforeMemoryIsTaken) {
  const TempFolder folder;
  write_file(folder / "x", std::string("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F{}", 10));
  EXPECT_EQ(file_error(folder / "x"), (folder / "x") +
                                          " is no safetensors file of a model: the header has 9223372036854775807 "
                                          "bytes, the file only 10");
  // One byte more than there is.
  write_file(folder / "x", with_length("{} ", "").substr(0, 10));
  EXPECT_EQ(file_error(folder / "x"),
            (folder / "x") + " is no safetensors file of a model: the header has 3 bytes, the file only 10");
  write_file(folder / "x", with_length("{}", ""));
  EXPECT_EQ(file_error(folder / "x"), "no error");
}

}  // namespace
}  // namespace tagger
