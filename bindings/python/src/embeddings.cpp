// Embedders that are classes of Python's, and what runs have them make of texts.

#include <cstring>

#include "bureau/ai/embed_run.hpp"
#include "given.hpp"
#include "hosted.hpp"
#include "runs.hpp"
#ifdef BUREAU_PYTHON_TESTING
#include "bureau/testing/scripted_embedder.hpp"
#endif

namespace bureau_python {

namespace {

// What Python answers --------------------------------------------------------------------------

/// Numbers of an object that has them in a row: an array of numpy, of array, a memoryview.
class Buffer {
 public:
  /// REQUIRES: the GIL.
  explicit Buffer(PyObject* object) {
    if (PyObject_CheckBuffer(object) == 0) return;
    if (PyObject_GetBuffer(object, &view_, PyBUF_CONTIG_RO | PyBUF_FORMAT) != 0) {
      PyErr_Clear();  // it is read number by number
      return;
    }
    held_ = true;
    const std::string_view format = view_.format == nullptr ? "B" : view_.format;
    single_ = format == "f";
    good_ = single_ || format == "d";
  }
  ~Buffer() {
    if (held_) PyBuffer_Release(&view_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  [[nodiscard]] bool has(int dimensions) const { return good_ && view_.ndim == dimensions; }
  [[nodiscard]] std::size_t size(int dimension) const {
    return static_cast<std::size_t>(view_.shape[dimension]);
  }
  [[nodiscard]] std::vector<float> numbers(std::size_t from, std::size_t count) const {
    std::vector<float> out(count);
    if (single_) {
      std::copy_n(static_cast<const float*>(view_.buf) + from, count, out.begin());
    } else {
      std::transform(static_cast<const double*>(view_.buf) + from,
                     static_cast<const double*>(view_.buf) + from + count, out.begin(),
                     [](double number) { return static_cast<float>(number); });
    }
    return out;
  }

 private:
  Py_buffer view_{};
  bool held_ = false, good_ = false, single_ = false;
};

/// Its items, or `invalid`.
py::object items_of(PyObject* object, const char* field, const std::string& wanted) {
  auto items = py::reinterpret_steal<py::object>(PySequence_Fast(object, ""));
  if (items) return items;
  if (PyErr_ExceptionMatches(PyExc_TypeError) == 0) throw py::error_already_set();
  PyErr_Clear();
  raise(Code::invalid, fmt::format("{}: {}, not {}", field, wanted, Py_TYPE(object)->tp_name),
        field);
}

std::vector<float> vector_of(PyObject* object, std::size_t place) {
  if (const Buffer buffer(object); buffer.has(1)) return buffer.numbers(0, buffer.size(0));
  const py::object items =
      items_of(object, "vectors", fmt::format("number {} is to be a list of numbers", place));
  std::vector<float> out;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.ptr()); ++i) {
    PyObject* const item = PySequence_Fast_GET_ITEM(items.ptr(), i);
    const double number = PyFloat_AsDouble(item);
    if (number == -1 && PyErr_Occurred() != nullptr) {
      if (PyErr_ExceptionMatches(PyExc_TypeError) == 0) throw py::error_already_set();
      PyErr_Clear();
      raise(Code::invalid,
            fmt::format("vectors: number {} has a {} at place {}; each is a number", place,
                        Py_TYPE(item)->tp_name, i),
            "vectors");
    }
    out.push_back(static_cast<float>(number));
  }
  return out;
}

std::vector<std::vector<float>> vectors_of(PyObject* object) {
  std::vector<std::vector<float>> out;
  if (const Buffer buffer(object); buffer.has(2)) {
    const std::size_t width = buffer.size(1);
    for (std::size_t i = 0; i < buffer.size(0); ++i) {
      out.push_back(buffer.numbers(i * width, width));
    }
    return out;
  }
  const py::object items = items_of(object, "vectors", "a list of vectors is wanted");
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.ptr()); ++i) {
    out.push_back(vector_of(PySequence_Fast_GET_ITEM(items.ptr(), i), static_cast<std::size_t>(i)));
  }
  return out;
}

EmbedReply reply_of(const py::object& made) {
  if (!PyDict_Check(made.ptr())) return {vectors_of(made.ptr()), {}};
  const auto fields = py::reinterpret_borrow<py::dict>(made);
  Given given("an embedder's answer", fields);
  EmbedReply reply{vectors_of(given.object("vectors").ptr()), given.maybe_integer("input_tokens")};
  given.done();
  return reply;
}

// Embedders ------------------------------------------------------------------------------------

py::list listed(std::span<const std::string> texts) {
  py::list out;
  for (const std::string& text : texts) out.append(text);
  return out;
}

/// A function of Python's that takes a list of texts and the call's key.
class PyEmbedder final : public Embedder {
 public:
  PyEmbedder(const py::object& function, std::string identity, std::size_t dimensions)
      : function_(kept(function)), identity_(std::move(identity)), dimensions_(dimensions) {}
  [[nodiscard]] std::string_view identity() const override { return identity_; }
  [[nodiscard]] std::size_t dimensions() const override { return dimensions_; }
  Result<EmbedReply> embed(std::span<const std::string> texts, const ModelCall& call) override {
    return in_python([&]() -> Result<EmbedReply> {
      return reply_of(py::handle(function_.get())(listed(texts), call.key));
    });
  }

 private:
  std::shared_ptr<PyObject> function_;
  std::string identity_;
  std::size_t dimensions_;
};

std::vector<std::string> texts_of(PyObject* object) {
  if (PyUnicode_Check(object)) {
    raise(Code::invalid, "texts: a list of texts is wanted, not one", "texts");
  }
  const py::object items = items_of(object, "texts", "a list of texts is wanted");
  std::vector<std::string> out;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.ptr()); ++i) {
    out.push_back(text_from_python(PySequence_Fast_GET_ITEM(items.ptr(), i), "texts"));
  }
  return out;
}

EmbedOptions options_of(Given& given) {
  EmbedOptions options;
  options.batch = given.limit("batch", options.batch);
  options.effect = given.choice("effect", options.effect);
  options.time = given.maybe_span("time").value_or(options.time);
  const auto price = given.maybe_money("price");
  const auto per = given.maybe_integer("price_per").value_or(1'000'000);
  if (price) options.price = ModelPrice{*price, {}, per};
  const std::string exhausted = given.maybe_text("exhausted").value_or("fail");
  if (exhausted != "fail" && exhausted != "wait") {
    raise(Code::invalid, fmt::format("exhausted: \"{}\" is none of fail, wait", exhausted),
          "exhausted");
  }
  if (exhausted == "wait") options.exhausted = Spend::Exhausted::wait;
  return options;
}

/// (the vectors' numbers one after the other, how many vectors, of how many numbers, tokens)
py::tuple embed_texts(const std::shared_ptr<PyRun>& self, const py::object& function,
                      const py::object& texts, const py::dict& fields) {
  const auto run = self->use();
  Given given("embed", fields);
  PyEmbedder embedder(function, given.text("identity"), given.limit("dimensions", 0));
  const EmbedOptions options = options_of(given);
  given.done();
  const auto wanted = texts_of(texts.ptr());
  const Embedded made = unwrap(unlocked([&] { return embed(*run, embedder, wanted, options); }));
  const std::size_t width = embedder.dimensions() * sizeof(float);
  py::bytes bytes(nullptr, made.vectors.size() * width);
  char* to = PyBytes_AS_STRING(bytes.ptr());
  for (const auto& vector : made.vectors) {
    std::memcpy(to, vector.data(), width);
    to += width;
  }
  return py::make_tuple(bytes, made.vectors.size(), embedder.dimensions(),
                        made.input_tokens ? py::object(py::int_(*made.input_tokens)) : py::none());
}

#ifdef BUREAU_PYTHON_TESTING
/// What the test kit's embedder makes of texts: ([[number, ...], ...], tokens)
py::tuple scripted(const py::object& texts, std::size_t dimensions) {
  testing::ScriptedEmbedder embedder(dimensions);
  const auto made = unwrap(embedder.embed(texts_of(texts.ptr()), {}));
  py::list out;
  for (const auto& vector : made.vectors) {
    py::list numbers;
    for (const float number : vector) numbers.append(number);
    out.append(numbers);
  }
  return py::make_tuple(out, made.input_tokens.value_or(0));
}
#endif

}  // namespace

void init_embeddings(py::module_& module) {
  module.def("_embed", embed_texts);
#ifdef BUREAU_PYTHON_TESTING
  module.def("_scripted_embedder", scripted);
#endif
}

}  // namespace bureau_python
