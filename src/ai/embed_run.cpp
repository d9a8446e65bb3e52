#include "bureau/ai/embed_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "ai/model_spending.hpp"
#include "core/stable_hash.hpp"
#include "core/text.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// What a step records of a batch.
struct EmbeddedBatch {
  std::int64_t dimensions = 0;
  Bytes vectors;      ///< one after the other, each number as four bytes, the lowest first
  std::string texts;  ///< a hash of them: whether it was these that were asked for
  std::optional<std::int64_t> input_tokens;
};

}  // namespace detail

template <>
inline constexpr auto record<detail::EmbeddedBatch> =
    fields(column("dimensions", &detail::EmbeddedBatch::dimensions),
           column("vectors", &detail::EmbeddedBatch::vectors),
           column("texts", &detail::EmbeddedBatch::texts),
           column("input_tokens", &detail::EmbeddedBatch::input_tokens));

namespace {

constexpr std::size_t float_bytes = 4;

tl::unexpected<Error> refused(const char* field, const std::string& rule) {
  return fail(Code::invalid, fmt::format("{}: {}", field, rule), field);
}

Result<void> check_texts(std::span<const std::string> texts, std::size_t dimensions) {
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty()) return refused("texts", fmt::format("number {} is empty", i));
    const std::size_t good = detail::valid_text_prefix(texts[i]);
    if (good == texts[i].size()) continue;
    return refused("texts",
                   fmt::format("number {} is no UTF-8 without NUL, from byte {} on", i, good));
  }
  const std::size_t each = dimensions * float_bytes;
  if (texts.size() <= max_embedding_bytes / each) return {};
  return refused("texts", fmt::format("{} vectors of {} bytes each are more than {} bytes; embed "
                                      "them in several runs",
                                      texts.size(), each, max_embedding_bytes));
}

/// Of the texts' bytes and where each ends.
std::string hash_of(std::span<const std::string> texts) {
  std::string all;
  for (const std::string& text : texts) {
    all += fmt::format("{:016x}", detail::stable_hash(text));
  }
  return fmt::format("{:016x}", detail::stable_hash(all));
}

std::string packed(const std::vector<std::vector<float>>& vectors) {
  std::string out;
  for (const auto& vector : vectors) {
    for (const float number : vector) {
      const auto bits = std::bit_cast<std::uint32_t>(number);
      for (unsigned shift = 0; shift < 32; shift += 8) {
        out += static_cast<char>(bits >> shift & 0xffU);
      }
    }
  }
  return out;
}

std::vector<float> unpacked(std::string_view bytes) {
  std::vector<float> out;
  out.reserve(bytes.size() / float_bytes);
  for (std::size_t at = 0; at < bytes.size(); at += float_bytes) {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < float_bytes; ++i) {
      bits |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8U * i);
    }
    out.push_back(std::bit_cast<float>(bits));
  }
  return out;
}

/// One embed() in progress.
class Embedding {
 public:
  Embedding(Run& run, Embedder& embedder, const EmbedOptions& options)
      : run_(run), embedder_(embedder), options_(options), dimensions_(embedder.dimensions()) {
    if (options.price) {
      price_ = options.price;
      price_->output = Money{0, price_->input.currency};
    }
  }

  Result<Embedded> of(std::span<const std::string> texts) {
    BUREAU_TRY_VOID(check_options());
    BUREAU_TRY_VOID(check_texts(texts, dimensions_));
    const std::size_t fit = max_step_vector_bytes / (dimensions_ * float_bytes);
    const std::size_t most = std::min(options_.batch, fit);
    out_.input_tokens = 0;
    while (!texts.empty()) {
      BUREAU_TRY(const auto batch, ask(texts.first(std::min(most, texts.size()))));
      BUREAU_TRY(const std::size_t count, take(batch, texts));
      texts = texts.subspan(count);
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] Result<void> check_options() const {
    if (dimensions_ < 1 || dimensions_ > max_embedding_dimensions) {
      return refused("dimensions", fmt::format("{}; an embedder has 1 to {}", dimensions_,
                                               max_embedding_dimensions));
    }
    if (options_.batch < 1) return refused("batch", "0; it is at least 1");
    if (price_) return check_price(*price_);
    return {};
  }

  Result<detail::EmbeddedBatch> ask(std::span<const std::string> texts) {
    const std::int64_t tokens =
        options_.input_tokens ? options_.input_tokens(texts) : estimate_input_tokens(texts);
    BUREAU_TRY(Spend spend, detail::reservation(price_, tokens, 0));
    spend.most.time = options_.time;
    spend.exhausted = options_.exhausted;
    return run_.spend("embed", options_.effect, spend,
                      [&](Amounts& used) { return answered(texts, used); });
  }

  Result<detail::EmbeddedBatch> answered(std::span<const std::string> texts, Amounts& used) {
    ModelCall call;
    call.stop_requested = [this] { return run_.stop_requested(); };
    call.key = run_.idempotency_key();
    const auto reply = embedder_.embed(texts, call);
    if (!reply) {
      detail::count_failure(reply.error().code, used);
      return fail(reply.error());
    }
    // A bad answer was an answer: it is paid for.
    if (reply->input_tokens >= 0) detail::count_tokens(price_, *reply->input_tokens, 0, used);
    BUREAU_TRY_VOID(check_reply(*reply, texts.size(), dimensions_));
    return detail::EmbeddedBatch{static_cast<std::int64_t>(dimensions_),
                                 {packed(reply->vectors)},
                                 hash_of(texts),
                                 reply->input_tokens};
  }

  /// Adds what was recorded of the first of these texts, and says of how many.
  Result<std::size_t> take(const detail::EmbeddedBatch& batch, std::span<const std::string> texts) {
    if (batch.dimensions != static_cast<std::int64_t>(dimensions_)) {
      return refused("dimensions", fmt::format("the embedder has {}, and {} are recorded: the run "
                                               "was another",
                                               dimensions_, batch.dimensions));
    }
    const std::string& bytes = batch.vectors.data;
    const std::size_t each = dimensions_ * float_bytes, count = bytes.size() / each;
    if (bytes.size() % each != 0 || count < 1 || count > texts.size() ||
        batch.texts != hash_of(texts.first(count))) {
      return refused("texts", fmt::format("{} vectors of other texts are recorded: the run was "
                                          "another",
                                          count));
    }
    for (std::size_t i = 0; i < count; ++i) {
      out_.vectors.push_back(unpacked(std::string_view(bytes).substr(i * each, each)));
    }
    out_.input_tokens = out_.input_tokens && batch.input_tokens
                            ? std::optional(*out_.input_tokens + *batch.input_tokens)
                            : std::nullopt;
    return count;
  }

  Run& run_;
  Embedder& embedder_;
  const EmbedOptions& options_;
  std::size_t dimensions_;
  std::optional<ModelPrice> price_;
  Embedded out_;
};

}  // namespace

Result<void> check_reply(const EmbedReply& reply, std::size_t texts, std::size_t dimensions) {
  if (reply.vectors.size() != texts) {
    return refused("vectors",
                   fmt::format("there are {} for {} texts", reply.vectors.size(), texts));
  }
  for (std::size_t i = 0; i < reply.vectors.size(); ++i) {
    const auto& vector = reply.vectors[i];
    if (vector.size() != dimensions) {
      return refused("vectors", fmt::format("number {} has {} numbers; the embedder has {} "
                                            "dimensions",
                                            i, vector.size(), dimensions));
    }
    const auto bad = std::find_if_not(vector.begin(), vector.end(),
                                      [](float number) { return std::isfinite(number); });
    if (bad == vector.end()) continue;
    return refused("vectors", fmt::format("number {} has {} at place {}; each is finite", i, *bad,
                                          bad - vector.begin()));
  }
  if (reply.input_tokens && *reply.input_tokens < 0) {
    return refused("input_tokens", fmt::format("{} is below zero", *reply.input_tokens));
  }
  return {};
}

std::int64_t estimate_input_tokens(std::span<const std::string> texts) {
  std::int64_t sum = 0;
  for (const std::string& text : texts) sum += static_cast<std::int64_t>((text.size() + 2) / 3);
  return sum;
}

Result<Embedded> embed(Run& run, Embedder& embedder, std::span<const std::string> texts,
                       const EmbedOptions& options) {
  return Embedding(run, embedder, options).of(texts);
}

BUREAU_END_NAMESPACE
