"""CoNLL-U as varlstm-tagger reads it, for its network in PyTorch: forms, tags and characters as numbers, and batches.

SPDX-License-Identifier: Apache-2.0
"""
import collections

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

PADDING, UNKNOWN, FIRST_WORD = 0, 1, 2  # rows of the words' table
UNKNOWN_CHARACTER, FIRST_CHARACTER = 0, 1  # rows of the characters' table
NO_TAG, UNSEEN_TAG = -1, -2  # of a word without a tag, and with one that training has not seen
COLUMNS = {"upos": 3, "xpos": 4}


def read_conllu(path, column="upos"):
    """[(form, tag) of each word] of each sentence. Ranges and empty nodes are no words."""
    sentences, words = [], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            fields = line.rstrip("\r\n").split("\t")
            if fields[0].isdigit():
                words.append((fields[1], fields[COLUMNS[column]]))
            elif fields == [""] and words:
                sentences.append(words)
                words = []
    return sentences + ([words] if words else [])


def lower_case(form):
    """Character by character, by Unicode's simple mapping."""
    return "".join(lower if len(lower := character.lower()) == 1 else character for character in form)


class Vocabulary:
    """in_lower_case: the words are in lower case, and so is a form that is looked up."""

    def __init__(self, words, tags, characters, in_lower_case):
        self.words, self.tags, self.characters, self.in_lower_case = words, tags, characters, in_lower_case
        self.word_rows = {word: row for row, word in enumerate(words, FIRST_WORD)}
        self.tag_ids = {tag: row for row, tag in enumerate(tags)}
        self.character_rows = {character: row for row, character in enumerate(characters, FIRST_CHARACTER)}

    @classmethod
    def of(cls, sentences, in_lower_case):
        """Every form in the order of its first use, the tags, and the characters that two forms at least have."""
        forms = list(dict.fromkeys(form for sentence in sentences for form, _ in sentence))
        words = list(dict.fromkeys(map(lower_case, forms))) if in_lower_case else forms
        tags = sorted({tag for sentence in sentences for _, tag in sentence} - {"_"})
        counts = collections.Counter(character for form in forms for character in set(form))
        return cls(words, tags, sorted(character for character, count in counts.items() if count > 1), in_lower_case)

    def word_row(self, form):
        return self.word_rows.get(lower_case(form) if self.in_lower_case else form, UNKNOWN)

    def sizes(self):
        """Rows of the words' table, of the characters', and tags."""
        return len(self.words) + FIRST_WORD, len(self.characters) + FIRST_CHARACTER, len(self.tags)


class Batch:
    """Sentences as packed rows: `tokens` are the places of the rows in the corpus."""

    def __init__(self, corpus, sentences):
        lengths = corpus.lengths[sentences]
        self.pack = pack_padded_sequence(pad_sequence([corpus.tokens_of[s] for s in sentences]), lengths,
                                         enforce_sorted=False)
        self.tokens = self.pack.data
        self.words, self.tags = corpus.words[self.tokens], corpus.tags[self.tokens]
        self.character_starts, self.word_lengths = corpus.character_starts[self.tokens], corpus.word_lengths[self.tokens]
        self.corpus_characters = corpus.characters

    def characters(self, padding):
        """Those of the words [words, longest], and which of them are no padding."""
        lengths = self.word_lengths.unsqueeze(1)
        position = torch.arange(int(lengths.max()))
        own = position < lengths
        places = (self.character_starts.unsqueeze(1) + position).clamp_(max=len(self.corpus_characters) - 1)
        return self.corpus_characters[places].masked_fill_(~own, padding), own

    def joined_characters(self, padding, gap):
        """Those of all words in one row with `gap` of padding after each, which of them are no padding, and the word of
        each."""
        spaces = self.word_lengths + gap
        word = torch.arange(len(spaces)).repeat_interleave(spaces)
        ends = spaces.cumsum(0)
        position = torch.arange(len(word)) - (ends - spaces)[word]
        own = position < self.word_lengths[word]
        ids = torch.full_like(word, padding)
        ids[own] = self.corpus_characters[(self.character_starts[word] + position)[own]]
        return ids, own, word


class Corpus:
    def __init__(self, sentences, vocabulary):
        forms = [form for sentence in sentences for form, _ in sentence]
        row = vocabulary.character_rows
        self.words = torch.tensor([vocabulary.word_row(form) for form in forms])
        self.tags = torch.tensor([NO_TAG if tag == "_" else vocabulary.tag_ids.get(tag, UNSEEN_TAG)
                                  for sentence in sentences for _, tag in sentence])
        self.characters = torch.tensor([row.get(character, UNKNOWN_CHARACTER) for form in forms for character in form])
        self.word_lengths = torch.tensor([len(form) for form in forms])
        self.character_starts = self.word_lengths.cumsum(0) - self.word_lengths
        self.lengths = torch.tensor([len(sentence) for sentence in sentences])
        self.tokens_of = torch.arange(len(forms)).split(self.lengths.tolist())

    def __len__(self):
        return len(self.lengths)

    def batches(self, order, size):
        return (Batch(self, chosen) for chosen in order.split(size))

    def longest_first(self):
        return self.lengths.argsort(descending=True)
