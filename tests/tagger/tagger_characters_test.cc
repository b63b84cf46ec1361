// The tagger's features of characters: their gradients fit the loss, and they tell the tags of unknown words.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "network.h"
#include "support/context.h"
#include "tagger_network_support.h"
#include "tagger_support.h"
#include "trainer.h"

namespace tagger {
namespace {

// Sentences of words of random letters. A word's tag is that of its last letter, so that its characters tell it.
Document lettered_document(uint64_t seed, int64_t sentences) {
  Random random(seed);
  std::string text;
  for (int64_t s = 0; s < sentences; ++s) {
    const uint64_t words = 1 + random.below(6);
    for (uint64_t w = 1; w <= words; ++w) {
      std::string form;
      for (uint64_t length = 1 + random.below(7); length > 0; --length)
        form += static_cast<char>('a' + random.below(6));
      text += tagger_test::row(std::to_string(w), form, std::string(1, "XYZ"[(form.back() - 'a') % 3]));
    }
    text += "\n";
  }
  return Document(text, "letters", Column::kUpos);
}

Vocabulary lettered_vocabulary(const Document& document) {
  const Vocabulary plain = Vocabulary::of({document});
  return Vocabulary(plain.words(), plain.tags(), {0, false, Vocabulary::characters_of(plain.words())});
}

NetworkShape lettered_shape(const Vocabulary& vocabulary) {
  NetworkShape shape = small_shape(1, true);
  shape.words = vocabulary.word_rows();
  shape.tags = vocabulary.tag_count();
  shape.characters = vocabulary.character_rows();
  shape.char_embedding = 4;
  shape.char_filters = 5;
  shape.char_widths = {1, 3, 4};
  return shape;
}

// Whether the back end under test has features of characters.
bool reads_characters() {
  const Context context = make_context(varlstm_test::test_backend(), 1);
  int64_t forward = 0, backward = 0;
  return varlstm_conv_max_size(context.get(), VARLSTM_DTYPE_F32, 1, 1, 1, 1, 1, &forward, &backward) !=
         VARLSTM_ERROR_UNSUPPORTED;
}

TEST(TaggerCharacters, SgdStepLowersTheLossByTheSquaredGradient) {
  if (!reads_characters()) GTEST_SKIP() << "this back end has no convolution with maximum";
  const Document document = lettered_document(5, 12);
  const Vocabulary vocabulary = lettered_vocabulary(document);
  for (double dropout : {0.0, 0.4})
    expect_fall_of_squared_gradient(lettered_shape(vocabulary), Corpus(document, vocabulary), dropout);
}

// The words of the second document were not in the first: only their characters tell their tags.
TEST(TaggerCharacters, TellTheTagsOfUnknownWords) {
  if (!reads_characters()) GTEST_SKIP() << "this back end has no convolution with maximum";
  const Document train = lettered_document(6, 150), dev = lettered_document(7, 40);
  const Vocabulary vocabulary = lettered_vocabulary(train);
  NetworkShape shape = lettered_shape(vocabulary);
  shape.char_filters = 12;
  const Corpus learned(train, vocabulary), measured(dev, vocabulary);
  int64_t unknown = 0;
  for (int64_t n = 0; n < measured.tokens(); ++n) unknown += measured.word(n) == Vocabulary::kUnknown;
  ASSERT_GT(unknown, measured.tokens() / 2);
  const auto best_dev = [&](const NetworkShape& of) {
    const Context context = make_context(varlstm_test::test_backend(), 1);
    Network network(context, of, larger(learned.limits(16), measured.limits(16)), Purpose::kTrain);
    Random random(3);
    network.parameters().load(initial_parameters(of, &random));
    TrainerSettings settings;
    settings.batch = 16;
    settings.epochs = 25;
    settings.patience = 0;
    settings.word_dropout = 0.5;
    settings.options.optimizer.lr = 2e-2;
    return train_network(
               &network, learned, measured, settings, &random, [] { return 0; }, [](const EpochReport&) {})
        .best_dev;
  };
  EXPECT_GT(best_dev(shape), 0.97);
  shape.char_widths.clear();
  shape.char_filters = 0;
  EXPECT_LT(best_dev(shape), 0.8);
}

}  // namespace
}  // namespace tagger
