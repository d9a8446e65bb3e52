#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>
#include <tuple>

#include "ai/calibration.hpp"
#include "ai/classifier_model.hpp"
#include "bureau/ai/text_classifier.hpp"
#include "bureau/core/json.hpp"

BUREAU_BEGIN_NAMESPACE
namespace {

using detail::ClassifierModel;
using detail::no_feature;

constexpr std::uint32_t folds = 5;
constexpr std::size_t judged_max = 20'000;
/// With fewer texts than this, what only one text holds is kept: it is most of what there is.
constexpr std::size_t few_texts = 2'000;

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

Result<void> check_text(std::string_view text, const std::string& field) {
  if (is_blank(text))
    return fail(Code::invalid, field + ": is blank; it must say something", field);
  if (!is_valid_text(text)) {
    return fail(Code::invalid, field + ": is not valid UTF-8 without NUL", field);
  }
  return {};
}

Result<void> check_options(const TrainingOptions& options) {
  const auto is_share = [](double value) { return value >= 0 && value <= 1; };
  if (options.threshold && !is_share(*options.threshold)) {
    return fail(Code::invalid,
                "threshold: " + std::to_string(*options.threshold) + " is not between 0 and 1",
                "threshold");
  }
  if (!is_share(options.target_accuracy)) {
    return fail(
        Code::invalid,
        "target_accuracy: " + std::to_string(options.target_accuracy) + " is not between 0 and 1",
        "target_accuracy");
  }
  if (options.threads < 1 || options.threads > 64) {
    return fail(Code::invalid,
                "threads: " + std::to_string(options.threads) + " is not between 1 and 64",
                "threads");
  }
  return {};
}

Result<void> check_examples(std::span<const LabelledText> examples) {
  if (examples.empty()) {
    return fail(Code::invalid, "examples: there are none; at least two labels must have one each",
                "examples");
  }
  if (examples.size() > TextClassifier::max_training_texts) {
    return fail(Code::exhausted,
                "examples: there are " + std::to_string(examples.size()) + ", more than " +
                    std::to_string(TextClassifier::max_training_texts),
                "examples");
  }
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const std::string row = "examples[" + std::to_string(i) + "]";
    BUREAU_TRY_VOID(check_text(examples[i].text, row + ".text"));
    BUREAU_TRY_VOID(check_text(examples[i].label, row + ".label"));
    if (examples[i].label.size() > TextClassifier::max_label_bytes) {
      return fail(Code::invalid,
                  row + ".label: has " + std::to_string(examples[i].label.size()) +
                      " bytes, more than " + std::to_string(TextClassifier::max_label_bytes),
                  row + ".label");
    }
    bytes += std::min(examples[i].text.size(), TextClassifier::max_text_bytes);
    if (bytes > TextClassifier::max_training_bytes) {
      return fail(Code::exhausted,
                  row + ".text: with it the texts have more than " +
                      std::to_string(TextClassifier::max_training_bytes) + " bytes together",
                  "examples");
    }
  }
  return {};
}

/// Calls run(0) to run(count - 1), each once, on that many threads; rethrows what one of them
/// threw.
template <class Run>
void run_all(std::size_t count, unsigned threads, const Run& run) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (std::size_t i = 0; (i = next++) < count;) run(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  std::vector<std::thread> helpers;
  for (unsigned i = 1; i < std::min<std::size_t>(threads, count); ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

/// The examples in one order, whatever order they came in, cut into grams whose keys are replaced
/// by their positions in `keys`.
struct Corpus {
  std::vector<std::string> labels;
  std::vector<std::uint32_t> label;  // of each text
  std::vector<detail::TextGrams> texts;
  std::vector<std::uint32_t> keys;
};

Corpus make_corpus(std::span<const LabelledText> examples) {
  std::vector<LabelledText> sorted(examples.begin(), examples.end());
  std::sort(sorted.begin(), sorted.end(), [](const LabelledText& a, const LabelledText& b) {
    return std::tie(a.label, a.text) < std::tie(b.label, b.text);
  });
  Corpus out;
  for (const LabelledText& example : sorted) {
    if (out.labels.empty() || out.labels.back() != example.label) {
      out.labels.emplace_back(example.label);
    }
    out.label.push_back(static_cast<std::uint32_t>(out.labels.size() - 1));
    out.texts.push_back(detail::cut_text(example.text));
    for (const detail::Gram& gram : out.texts.back().grams) out.keys.push_back(gram.key);
  }
  std::sort(out.keys.begin(), out.keys.end());
  out.keys.erase(std::unique(out.keys.begin(), out.keys.end()), out.keys.end());
  const detail::KeyIndex index(out.keys);
  for (detail::TextGrams& text : out.texts) {
    for (detail::Gram& gram : text.grams) gram.key = index.find(gram.key);
  }
  return out;
}

/// Deals each label's texts evenly to the folds; the first `judged_max` of `order` are judged.
struct Split {
  std::vector<std::uint32_t> fold;
  std::vector<std::uint32_t> order;

  Split(const Corpus& corpus, std::uint64_t seed) : fold(corpus.label.size()) {
    order.resize(corpus.label.size());
    std::iota(order.begin(), order.end(), 0U);
    detail::Shuffler(seed).shuffle(order);
    std::vector<std::uint32_t> dealt(corpus.labels.size());
    for (const std::uint32_t i : order) {
      const std::uint32_t label = corpus.label[i];
      fold[i] = (dealt[label]++ + label) % folds;
    }
    order.resize(std::min(order.size(), judged_max));
  }
};

class Trainer {
 public:
  Trainer(const Corpus& corpus, std::uint64_t seed)
      : corpus_(corpus), split_(corpus, seed), seed_(seed) {
    held_out_.labels = corpus.labels.size();
    held_out_.scores.resize(split_.order.size() * held_out_.labels);
    for (const std::uint32_t i : split_.order) held_out_.truth.push_back(corpus.label[i]);
  }

  std::pair<ClassifierModel, double> train(const TrainingOptions& options) && {
    run_all(folds + 1, options.threads, [&](std::size_t task) {
      if (task == 0) {
        final_ = fit(folds);  // no text is in that fold: the model of all texts
      } else {
        judge(static_cast<std::uint32_t>(task - 1));
      }
    });
    final_.sharpness = detail::fit_sharpness(held_out_);
    const double threshold =
        options.threshold
            ? *options.threshold
            : detail::choose_threshold(held_out_, final_.sharpness, options.target_accuracy);
    final_.cross_validation = detail::evaluate(held_out_, final_.sharpness, threshold);
    return {std::move(final_), threshold};
  }

 private:
  /// The model of all texts that are not in `left_out`.
  ClassifierModel fit(std::uint32_t left_out) const {
    ClassifierModel model;
    model.labels = corpus_.labels;
    std::vector<std::uint32_t> frequency(corpus_.keys.size());
    for (std::size_t i = 0; i < corpus_.texts.size(); ++i) {
      if (split_.fold[i] == left_out) continue;
      ++model.texts;
      for (const detail::Gram& gram : corpus_.texts[i].grams) ++frequency[gram.key];
    }
    const std::vector<std::uint32_t> feature_of = choose_features(frequency, model);
    model.index_features();

    detail::TrainingSet set;
    set.labels = model.labels.size();
    set.features = model.keys.size();
    for (std::size_t i = 0; i < corpus_.texts.size(); ++i) {
      if (split_.fold[i] == left_out) continue;
      detail::vectorize(
          corpus_.texts[i], [&](std::uint32_t key) { return feature_of[key]; }, model.idf,
          model.unknown_idf, set.terms);
      set.begin.push_back(set.terms.size());
      set.label.push_back(corpus_.label[i]);
    }
    model.linear = detail::train_linear(set, seed_ + left_out);
    return model;
  }

  /// Fills the model's keys and frequencies with the grams that most texts hold. Returns each
  /// gram's feature.
  std::vector<std::uint32_t> choose_features(const std::vector<std::uint32_t>& frequency,
                                             ClassifierModel& model) const {
    const std::uint32_t least = model.texts < few_texts ? 1 : 2;
    std::vector<std::uint32_t> chosen;
    for (std::uint32_t i = 0; i < frequency.size(); ++i) {
      if (frequency[i] >= least) chosen.push_back(i);
    }
    const std::size_t limit =
        std::min(detail::max_features,
                 detail::max_weights / detail::LinearModel::stride_of(model.labels.size()));
    if (chosen.size() > limit) {
      std::stable_sort(chosen.begin(), chosen.end(), [&](std::uint32_t a, std::uint32_t b) {
        return frequency[a] > frequency[b];
      });
      chosen.resize(limit);
      std::sort(chosen.begin(), chosen.end());
    }
    std::vector<std::uint32_t> feature_of(frequency.size(), no_feature);
    for (const std::uint32_t i : chosen) {
      feature_of[i] = static_cast<std::uint32_t>(model.keys.size());
      model.keys.push_back(corpus_.keys[i]);
      // Grams of two kinds may share a key, and so be in one text twice.
      model.frequencies.push_back(
          static_cast<std::uint32_t>(std::min<std::uint64_t>(frequency[i], model.texts)));
    }
    return feature_of;
  }

  /// Scores the texts of a fold by a model of the others.
  void judge(std::uint32_t fold) {
    const auto is_in = [&](std::uint32_t i) { return split_.fold[i] == fold; };
    if (std::none_of(split_.order.begin(), split_.order.end(), is_in)) return;
    const ClassifierModel model = fit(fold);
    std::vector<detail::Term> terms;
    std::vector<float> scores(model.linear.stride);
    for (std::size_t at = 0; at < split_.order.size(); ++at) {
      if (!is_in(split_.order[at])) continue;
      terms.clear();
      detail::vectorize(
          corpus_.texts[split_.order[at]],
          [&](std::uint32_t key) { return model.index.find(corpus_.keys[key]); }, model.idf,
          model.unknown_idf, terms);
      model.linear.score(terms, scores);
      std::copy_n(scores.begin(), held_out_.labels,
                  held_out_.scores.begin() + static_cast<std::ptrdiff_t>(at * held_out_.labels));
    }
  }

  const Corpus& corpus_;
  Split split_;
  std::uint64_t seed_;
  detail::HeldOut held_out_;
  ClassifierModel final_;
};

}  // namespace

Result<TextClassifier> TextClassifier::train(std::span<const LabelledText> examples,
                                             const TrainingOptions& options) {
  BUREAU_TRY_VOID(check_options(options));
  BUREAU_TRY_VOID(check_examples(examples));
  const Corpus corpus = make_corpus(examples);
  if (corpus.labels.size() < 2) {
    return fail(Code::invalid,
                "examples: all have the label \"" + corpus.labels.front() +
                    "\"; at least two labels are needed",
                "examples");
  }
  if (corpus.labels.size() > max_labels) {
    return fail(Code::exhausted,
                "examples: they have " + std::to_string(corpus.labels.size()) +
                    " labels, more than " + std::to_string(max_labels),
                "examples");
  }
  auto [model, threshold] = Trainer(corpus, options.seed).train(options);
  return TextClassifier(std::make_shared<const ClassifierModel>(std::move(model)), threshold);
}

BUREAU_END_NAMESPACE
