// The local default: sentences that are there, and nothing else.

#include <algorithm>
#include <cmath>
#include <map>

#include "ai/text_grams.hpp"
#include "bureau/ai/model_run.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

struct Sentence {
  std::string_view text;
  detail::TextGrams grams;
  double score = 0;
};

void trim(std::string_view& text) {
  constexpr std::string_view blank = " \t\r\n";
  const std::size_t from = text.find_first_not_of(blank);
  text = from == std::string_view::npos ? std::string_view() : text.substr(from);
  text = text.substr(0, text.find_last_not_of(blank) + 1);
}

/// Ends at a full stop, a question or exclamation mark before a blank, or at the end of a line.
void split_sentences(std::string_view text, std::vector<Sentence>& out) {
  std::size_t from = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool mark = text[at] == '.' || text[at] == '!' || text[at] == '?';
    const bool last = at + 1 == text.size();
    const bool ends =
        text[at] == '\n' || last || (mark && (text[at + 1] == ' ' || text[at + 1] == '\n'));
    if (!ends) continue;
    std::string_view sentence = text.substr(from, at + 1 - from);
    trim(sentence);
    if (!sentence.empty()) out.push_back({sentence, detail::cut_text(sentence), 0});
    from = at + 1;
  }
}

class ExtractiveModel final : public LanguageModel {
 public:
  explicit ExtractiveModel(std::size_t sentences) : sentences_(sentences) {}
  [[nodiscard]] std::string_view identity() const override { return "bureau-extractive/1"; }

  Result<ModelReply> complete(const ModelRequest& request, const ModelCall& call) override {
    BUREAU_TRY_VOID(check_request(request));
    if (request.output) {
      return fail(Code::invalid, "output: the extractive model gives sentences, not JSON",
                  "output");
    }
    const ModelMessage* question = nullptr;
    for (const ModelMessage& message : request.messages) {
      if (message.role == ModelRole::user) question = &message;
    }
    std::vector<Sentence> sentences;
    for (const ModelMessage& message : request.messages) {
      if (&message == question || message.role == ModelRole::assistant) continue;
      split_sentences(message.text, sentences);
    }
    if (question != nullptr) score(question->text, sentences);
    ModelReply reply;
    reply.model = std::string(identity());
    reply.message.role = ModelRole::assistant;
    reply.message.text = best_of(sentences);
    reply.usage = {0, 0};
    if (reply.message.text.empty()) reply.stop = StopReason::refused;
    if (call.on_text && !reply.message.text.empty()) call.on_text(reply.message.text);
    return reply;
  }

 private:
  /// The weight that the question's words have together in the sentence: rare ones weigh most.
  static void score(std::string_view question, std::vector<Sentence>& sentences) {
    std::map<std::uint32_t, double> in_sentences;
    for (const Sentence& sentence : sentences) {
      for (const auto& gram : sentence.grams.of(detail::words)) in_sentences[gram.key] += 1;
    }
    const auto asked = detail::cut_text(question);
    const double all = static_cast<double>(sentences.size());
    for (Sentence& sentence : sentences) {
      const auto said = sentence.grams.of(detail::words);
      for (const auto& gram : asked.of(detail::words)) {
        const bool has = std::any_of(said.begin(), said.end(),
                                     [&](const auto& other) { return other.key == gram.key; });
        if (has) sentence.score += std::log(1 + all / in_sentences[gram.key]);
      }
    }
  }

  [[nodiscard]] std::string best_of(const std::vector<Sentence>& sentences) const {
    std::vector<const Sentence*> best;
    for (const Sentence& sentence : sentences) {
      if (sentence.score > 0) best.push_back(&sentence);
    }
    std::stable_sort(best.begin(), best.end(),
                     [](const auto* a, const auto* b) { return a->score > b->score; });
    best.resize(std::min(best.size(), sentences_));
    std::sort(best.begin(), best.end());  // as they stand in the texts
    std::string text;
    for (const Sentence* sentence : best) {
      if (!text.empty()) text += ' ';
      text += sentence->text;
    }
    return text;
  }

  std::size_t sentences_;
};

}  // namespace

std::shared_ptr<LanguageModel> make_extractive_model(std::size_t sentences) {
  return std::make_shared<ExtractiveModel>(sentences);
}

BUREAU_END_NAMESPACE
