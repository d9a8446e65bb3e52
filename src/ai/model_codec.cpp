// The stored form of a classifier. All numbers are little-endian; "varint" is LEB128.
//
//   "BTXC"  version u16
//   varint texts, varint labels, varint features
//   labels: varint length, bytes; ascending
//   f64 sharpness, f64 threshold
//   varint texts cross-validated, f64 accuracy, f64 coverage, f64 accuracy at threshold
//   features: varint key minus the previous key (ascending), varint frequency
//   labels: f32 scale, f32 bias, u8 Rice parameter
//   weights, feature by feature, label by label: Rice codes, bits from the lowest up, padded with 0
//   u64 FNV-1a of everything before it
//
// FNV-1a maps states one to one for equal input, so a change of any one byte always shows. Most
// weights are near zero: Rice codes take about a third of the bytes.

#include <bit>
#include <cmath>
#include <cstring>

#include "ai/classifier_model.hpp"
#include "bureau/core/json.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {
namespace {

constexpr std::string_view magic = "BTXC";
constexpr std::uint16_t format_version = 1;
constexpr unsigned longest_unary = 15;  // so many ones: the value follows in 8 plain bits
constexpr unsigned rice_parameter_max = 7;

std::uint64_t checksum(std::string_view bytes) {
  std::uint64_t h = 14695981039346656037U;
  for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return h;
}

/// -1, 1, -2, 2 ... become 1, 2, 3, 4 ...
unsigned fold_sign(std::int8_t weight) {
  const int w = weight;
  return static_cast<unsigned>(w < 0 ? -2 * w - 1 : 2 * w);
}

int unfold_sign(unsigned value) {
  const int half = static_cast<int>(value / 2);
  return value % 2 == 1 ? -half - 1 : half;
}

unsigned rice_bits(unsigned value, unsigned parameter) {
  const unsigned quotient = value >> parameter;
  return quotient >= longest_unary ? longest_unary + 8 : quotient + 1 + parameter;
}

class Encoder {
 public:
  template <class T>
  void number(T value) {
    using Bits =
        std::conditional_t<sizeof(T) == 8, std::uint64_t,
                           std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint16_t>>;
    const auto bits = std::bit_cast<Bits>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<char>(bits >> (8 * i)));
  }

  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) out.push_back(static_cast<char>(value | 0x80U));
    out.push_back(static_cast<char>(value));
  }

  void bits(std::uint32_t value, unsigned count) {
    pending_ |= static_cast<std::uint64_t>(value) << pending_count_;
    pending_count_ += count;
    for (; pending_count_ >= 8; pending_count_ -= 8, pending_ >>= 8U) {
      out.push_back(static_cast<char>(pending_));
    }
  }

  void rice(unsigned value, unsigned parameter) {
    const unsigned quotient = value >> parameter;
    if (quotient >= longest_unary) {
      bits((1U << longest_unary) - 1, longest_unary);
      bits(value, 8);
    } else {
      bits((1U << quotient) - 1, quotient + 1);
      bits(value & ((1U << parameter) - 1), parameter);
    }
  }

  void end_bits() {
    if (pending_count_ > 0) bits(0, 8 - pending_count_);
  }

  std::string out;

 private:
  std::uint64_t pending_ = 0;
  unsigned pending_count_ = 0;
};

/// Reads what Encoder wrote. After the end, or a varint that is too long, `ok` is false and every
/// number 0.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes) {}

  template <class T>
  T number() {
    using Bits =
        std::conditional_t<sizeof(T) == 8, std::uint64_t,
                           std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint16_t>>;
    Bits bits = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) bits |= static_cast<Bits>(Bits{byte()} << (8 * i));
    return std::bit_cast<T>(bits);
  }

  unsigned char byte() {
    if (at_ >= bytes_.size()) {
      ok = false;
      return 0;
    }
    return static_cast<unsigned char>(bytes_[at_++]);
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
      const std::uint64_t next = byte();
      value |= (next & 0x7FU) << shift;
      if (next < 0x80) return ok ? value : 0;
    }
    ok = false;
    return 0;
  }

  std::string_view text(std::uint64_t length) {
    if (length > left()) {
      ok = false;
      return {};
    }
    at_ += length;
    return bytes_.substr(at_ - length, length);
  }

  unsigned rice(unsigned parameter) {
    unsigned quotient = 0;
    while (bit() == 1) {
      if (++quotient == longest_unary) return plain_bits(8);
    }
    return quotient << parameter | plain_bits(parameter);
  }

  /// True when the last byte's unused bits are zero.
  bool end_bits() {
    const bool clean = pending_ == 0;
    pending_count_ = 0;
    return clean;
  }

  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

  bool ok = true;

 private:
  unsigned bit() {
    if (pending_count_ == 0) {
      pending_ = byte();
      pending_count_ = 8;
    }
    const unsigned low = pending_ & 1U;
    pending_ >>= 1U;
    --pending_count_;
    return low;
  }

  unsigned plain_bits(unsigned count) {
    unsigned value = 0;
    for (unsigned i = 0; i < count; ++i) value |= bit() << i;
    return value;
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  unsigned pending_ = 0;
  unsigned pending_count_ = 0;
};

/// Per label, the parameter whose codes are shortest.
std::vector<unsigned> choose_rice_parameters(const LinearModel& linear) {
  std::vector<unsigned> chosen;
  for (std::size_t label = 0; label < linear.labels; ++label) {
    std::vector<std::uint64_t> times(256);
    for (std::size_t at = label; at < linear.weights.size(); at += linear.stride) {
      ++times[fold_sign(linear.weights[at])];
    }
    unsigned best = 0;
    std::uint64_t best_bits = UINT64_MAX;
    for (unsigned parameter = 0; parameter <= rice_parameter_max; ++parameter) {
      std::uint64_t total = 0;
      for (unsigned value = 0; value < 256; ++value) {
        total += times[value] * rice_bits(value, parameter);
      }
      if (total < best_bits) best = parameter, best_bits = total;
    }
    chosen.push_back(best);
  }
  return chosen;
}

bool is_share(double value) { return value >= 0 && value <= 1; }

/// Reads the parts in the order of the format; each returns the rule that is broken, or null.
class ModelReader {
 public:
  explicit ModelReader(std::string_view bytes) : in_(bytes) {}

  const char* read(DecodedModel& out) {
    ClassifierModel& model = out.model;
    model.texts = in_.varint();
    const std::uint64_t labels = in_.varint();
    const std::uint64_t features = in_.varint();
    if (!in_.ok) return "it is cut short";
    if (labels < 2 || labels > TextClassifier::max_labels) return "its number of labels is wrong";
    const std::size_t stride = LinearModel::stride_of(labels);
    // Each weight takes a bit at least: no more memory is taken than the bytes can fill.
    if (features > max_features || features * stride > max_weights ||
        features * labels / 8 > in_.left()) {
      return "its number of features is wrong";
    }
    if (const char* rule = read_labels(model, labels)) return rule;
    if (const char* rule = read_figures(out)) return rule;
    if (const char* rule = read_features(model, features)) return rule;
    return read_weights(model.linear, labels, features);
  }

 private:
  const char* read_labels(ClassifierModel& model, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string_view label = in_.text(in_.varint());
      if (!in_.ok) return "it is cut short";
      if (label.empty() || label.size() > TextClassifier::max_label_bytes ||
          !is_valid_text(label) || (i > 0 && label <= model.labels.back())) {
        return "a label is wrong";
      }
      model.labels.emplace_back(label);
    }
    return nullptr;
  }

  const char* read_figures(DecodedModel& out) {
    out.model.sharpness = in_.number<double>();
    out.threshold = in_.number<double>();
    CrossValidation& found = out.model.cross_validation;
    found.texts = in_.varint();
    found.accuracy = in_.number<double>();
    found.coverage = in_.number<double>();
    found.accuracy_at_threshold = in_.number<double>();
    const bool fine = in_.ok && out.model.sharpness > 0 && out.model.sharpness <= 1000 &&
                      is_share(out.threshold) && is_share(found.accuracy) &&
                      is_share(found.coverage) && is_share(found.accuracy_at_threshold);
    return fine ? nullptr : "a figure is out of range";
  }

  const char* read_features(ClassifierModel& model, std::uint64_t count) {
    std::uint64_t key = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t step = in_.varint();
      const std::uint64_t frequency = in_.varint();
      if (!in_.ok || (i > 0 && step == 0) || step > UINT32_MAX - key || frequency == 0 ||
          frequency > model.texts || frequency > UINT32_MAX) {
        return "a feature is wrong";
      }
      key += step;
      model.keys.push_back(static_cast<std::uint32_t>(key));
      model.frequencies.push_back(static_cast<std::uint32_t>(frequency));
    }
    return nullptr;
  }

  const char* read_weights(LinearModel& linear, std::size_t labels, std::size_t features) {
    linear.labels = labels;
    linear.stride = LinearModel::stride_of(labels);
    linear.scale.assign(linear.stride, 0);
    linear.bias.assign(linear.stride, 0);
    std::vector<unsigned> parameters;
    for (std::size_t label = 0; label < labels; ++label) {
      linear.scale[label] = in_.number<float>();
      linear.bias[label] = in_.number<float>();
      parameters.push_back(in_.byte());
      // A trained model stays far below these; they keep every later sum finite.
      if (!in_.ok || !(linear.scale[label] >= 0 && linear.scale[label] <= 1e6F) ||
          !(std::fabs(linear.bias[label]) <= 1e6F) || parameters.back() > rice_parameter_max) {
        return "a label's scale is out of range";
      }
    }
    linear.weights.assign(features * linear.stride, 0);
    for (std::size_t feature = 0; feature < features; ++feature) {
      std::int8_t* row = &linear.weights[feature * linear.stride];
      for (std::size_t label = 0; label < labels; ++label) {
        const unsigned value = in_.rice(parameters[label]);
        if (!in_.ok || value > 254) return "a weight is wrong";
        row[label] = static_cast<std::int8_t>(unfold_sign(value));
      }
    }
    return in_.end_bits() && in_.left() == 0 ? nullptr : "something follows its end";
  }

  Decoder in_;
};

}  // namespace

void ClassifierModel::index_features() {
  idf.clear();
  idf.reserve(frequencies.size());
  for (const std::uint32_t held : frequencies) idf.push_back(inverse_frequency(texts, held));
  unknown_idf = inverse_frequency(texts, 0);
  index = KeyIndex(keys);
}

std::string encode_model(const ClassifierModel& model, double threshold) {
  Encoder to;
  to.out.append(magic);
  to.number(format_version);
  to.varint(model.texts);
  to.varint(model.labels.size());
  to.varint(model.keys.size());
  for (const std::string& label : model.labels) {
    to.varint(label.size());
    to.out.append(label);
  }
  to.number(model.sharpness);
  to.number(threshold);
  to.varint(model.cross_validation.texts);
  to.number(model.cross_validation.accuracy);
  to.number(model.cross_validation.coverage);
  to.number(model.cross_validation.accuracy_at_threshold);
  std::uint32_t previous = 0;
  for (std::size_t i = 0; i < model.keys.size(); ++i) {
    to.varint(model.keys[i] - previous);
    to.varint(model.frequencies[i]);
    previous = model.keys[i];
  }
  const LinearModel& linear = model.linear;
  const std::vector<unsigned> parameters = choose_rice_parameters(linear);
  for (std::size_t label = 0; label < linear.labels; ++label) {
    to.number(linear.scale[label]);
    to.number(linear.bias[label]);
    to.out.push_back(static_cast<char>(parameters[label]));
  }
  for (std::size_t feature = 0; feature < model.keys.size(); ++feature) {
    const std::int8_t* row = &linear.weights[feature * linear.stride];
    for (std::size_t label = 0; label < linear.labels; ++label) {
      to.rice(fold_sign(row[label]), parameters[label]);
    }
  }
  to.end_bits();
  to.number(checksum(to.out));
  return std::move(to.out);
}

Result<DecodedModel> decode_model(std::string_view bytes) {
  const auto corrupt = [](const std::string& rule) {
    return fail(Code::corrupt, "the stored text classifier cannot be read: " + rule, "model");
  };
  Decoder head(bytes);
  if (head.text(magic.size()) != magic) return corrupt("it does not begin as one");
  const auto version = head.number<std::uint16_t>();
  if (version == 0 || version > format_version) {
    return corrupt("its format version is " + std::to_string(version) + ", newer than " +
                   std::to_string(format_version) + ", the newest that this library reads");
  }
  constexpr std::size_t head_size = 6, checksum_size = 8;
  if (bytes.size() < head_size + checksum_size) return corrupt("it is cut short");
  const std::string_view summed = bytes.substr(0, bytes.size() - checksum_size);
  if (Decoder(bytes.substr(summed.size())).number<std::uint64_t>() != checksum(summed)) {
    return corrupt("its checksum does not match, so it is damaged or cut short");
  }
  DecodedModel out{};
  if (const char* rule = ModelReader(summed.substr(head_size)).read(out)) return corrupt(rule);
  out.model.index_features();
  return out;
}

}  // namespace detail
BUREAU_END_NAMESPACE
