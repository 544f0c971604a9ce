// The Python module: which kernels this processor can run, and a network made of them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <unistd.h>

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "network/kernel_sets.h"
#include "tools/round_trip.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace charloom {

namespace {

double measure_peak(const std::string& kernels, bool bfloat16, int threads, double seconds) {
    nb::gil_scoped_release release;
    return product_peak(kernels, bfloat16 ? "bfloat16" : "float32", threads, seconds);
}

double measure_round_trip(double seconds) {
    nb::gil_scoped_release release;
    return round_trip(seconds);
}

template <class T, int N>
using In = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <class T, int N>
using Out = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
using Flat = nb::ndarray<float, nb::c_contig, nb::device::cpu>;
using ConstFlat = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;

// A Network, and the checks that keep a wrong array from becoming a wrong address.
class CheckedNetwork {
public:
    CheckedNetwork(const std::string& kernels, const std::string& precision, int threads,
                   const std::string& cell, int vocabulary, int embedding, int hidden, int layers)
        : shape_{vocabulary, embedding, hidden, layers},
          network_(make_network(kernels, cell, precision, shape_, threads)) {}

    int quantities() const { return network_->cell().quantities; }

    void read(int tensor, int kind, Flat to) {
        check(to.size() == elements(tensor), "size of a weight");
        const Alone alone(mutex());
        network_->read(tensor, static_cast<Kind>(kind), to.data());
    }
    void write(int tensor, int kind, ConstFlat from) {
        check(from.size() == elements(tensor), "size of a weight");
        const Alone alone(mutex());
        network_->write(tensor, static_cast<Kind>(kind), from.data());
    }

    std::tuple<double, long, double, bool> train_step(
        In<int32_t, 2> inputs, In<int32_t, 2> targets, Out<float, 3> hidden, Out<float, 3> cell,
        double learning_rate, double beta1, double beta2, double epsilon, double clip_norm,
        double dropout, uint32_t dropout_key, long step, std::optional<Out<float, 3>> logits) {
        check_ids(inputs, 0);
        if (logits) check_logits(inputs, *logits);
        check_same(inputs, targets);
        check_ids(targets, INT32_MIN);
        auto state = check_state(hidden, cell, inputs.shape(1));
        StepSettings settings{learning_rate, beta1, beta2, epsilon, clip_norm, dropout,
                              dropout_key};
        const Alone alone(mutex());
        StepResult r = network_->train_step(rows(inputs), streams(inputs), inputs.data(),
                                            targets.data(), state, settings, step,
                                            logits ? logits->data() : nullptr);
        return {r.nats, r.characters, r.gradient_norm, r.updated};
    }

    void logits(In<int32_t, 2> inputs, Out<float, 3> hidden, Out<float, 3> cell,
                Out<float, 3> logits) {
        check_ids(inputs, 0);
        auto state = check_state(hidden, cell, inputs.shape(1));
        check_logits(inputs, logits);
        const Alone alone(mutex());
        network_->logits(rows(inputs), streams(inputs), inputs.data(), state, logits.data());
    }

    void surprise(In<int32_t, 2> inputs, In<int32_t, 2> targets, Out<float, 3> hidden,
                  Out<float, 3> cell, Out<float, 2> nats, Out<int32_t, 2> ranks) {
        check_ids(inputs, 0);
        check_same(inputs, targets);
        check_same(inputs, nats);
        check_same(inputs, ranks);
        check_ids(targets, INT32_MIN);
        auto state = check_state(hidden, cell, inputs.shape(1));
        const Alone alone(mutex());
        network_->surprise(rows(inputs), streams(inputs), inputs.data(), targets.data(), state,
                           nats.data(), ranks.data());
    }

    void trace(In<int32_t, 2> inputs, Out<float, 3> hidden, Out<float, 3> cell,
               Out<float, 5> quantities, Out<float, 3> logits) {
        check_ids(inputs, 0);
        auto state = check_state(hidden, cell, inputs.shape(1));
        check(quantities.shape(0) == static_cast<size_t>(network_->cell().quantities) &&
                  quantities.shape(1) == static_cast<size_t>(shape_.layers) &&
                  quantities.shape(2) == inputs.shape(0) &&
                  quantities.shape(3) == inputs.shape(1) &&
                  quantities.shape(4) == static_cast<size_t>(shape_.hidden),
              "shape of the quantities");
        check_logits(inputs, logits);
        const Alone alone(mutex());
        network_->trace(rows(inputs), streams(inputs), inputs.data(), state,
                        quantities.data(), logits.data());
    }

    void generate(In<int32_t, 1> last, Out<float, 3> hidden, Out<float, 3> cell,
                  In<double, 1> temperatures, In<int32_t, 1> top_ks, In<double, 1> top_ps,
                  In<uint64_t, 1> seeds, In<int64_t, 1> starts,
                  const std::vector<int32_t>& forbidden, Out<int32_t, 2> ids,
                  const std::vector<In<int32_t, 2>>& followings,
                  const std::vector<In<int32_t, 1>>& distances,
                  const std::vector<In<int32_t, 1>>& classes,
                  std::optional<In<int32_t, 1>> tables, std::optional<In<int64_t, 1>> left,
                  std::optional<Out<int32_t, 2>> states) {
        const size_t B = last.shape(0);
        auto state = check_state(hidden, cell, B);
        check(seeds.shape(0) == B && starts.shape(0) == B && temperatures.shape(0) == B &&
                  top_ks.shape(0) == B && top_ps.shape(0) == B && ids.shape(1) == B,
              "number of streams");
        for (size_t b = 0; b < B; ++b) check_id(last.data()[b], 0);
        for (int32_t id : forbidden) check_id(id, 0);
        check(std::set<int32_t>(forbidden.begin(), forbidden.end()).size() <
                  static_cast<size_t>(shape_.vocabulary),
              "forbidden ids: none would be left");
        std::vector<Sampling> samplings(B);
        for (size_t b = 0; b < B; ++b)
            samplings[b] = {temperatures.data()[b], top_ks.data()[b], top_ps.data()[b]};
        Generation asked{static_cast<int>(B), last.data(),  static_cast<int>(ids.shape(0)),
                         samplings.data(),    seeds.data(), starts.data(),
                         forbidden,           ids.data()};
        std::vector<Restriction> restrictions;
        if (tables && left && states) {
            restrictions = restrictions_of(followings, distances, classes, *tables, *left);
            check(restrictions.size() == B && states->shape(1) == B &&
                      states->shape(0) == ids.shape(0) + 1,
                  "shape of a restriction's states: (length + 1, B)");
            asked.restrictions = restrictions.data();
            asked.states = states->data();
        }
        const Alone alone(mutex());
        network_->generate(asked, state);
    }

private:
    static void check(bool right, const char* what) {
        if (!right) throw std::invalid_argument(std::string("wrong ") + what);
    }
    template <class A>
    static int rows(const A& a) { return static_cast<int>(a.shape(0)); }
    template <class A>
    static int streams(const A& a) { return static_cast<int>(a.shape(1)); }
    void check_id(int32_t id, int32_t least) const {
        if (id < least || id >= shape_.vocabulary)
            throw std::out_of_range("id " + std::to_string(id) + " is outside the vocabulary of " +
                                    std::to_string(shape_.vocabulary));
    }
    void check_ids(const In<int32_t, 2>& ids, int32_t least) const {
        check(ids.size() > 0, "shape: T and B must be at least 1");
        for (size_t n = 0; n < ids.size(); ++n) check_id(ids.data()[n], least);
    }
    template <class A, class B>
    static void check_same(const A& a, const B& b) {
        check(a.shape(0) == b.shape(0) && a.shape(1) == b.shape(1), "shape: (T, B) must agree");
    }
    void check_logits(const In<int32_t, 2>& inputs, const Out<float, 3>& logits) const {
        check(logits.shape(0) == inputs.shape(0) && logits.shape(1) == inputs.shape(1) &&
                  logits.shape(2) == static_cast<size_t>(shape_.vocabulary),
              "shape of the logits");
    }
    // Of each stream, the table that `tables` numbers, if it is not negative. What the tables lead to
    // is checked where it is used (sampler.cpp), since they may be large.
    std::vector<Restriction> restrictions_of(const std::vector<In<int32_t, 2>>& followings,
                                             const std::vector<In<int32_t, 1>>& distances,
                                             const std::vector<In<int32_t, 1>>& classes,
                                             const In<int32_t, 1>& tables,
                                             const In<int64_t, 1>& left) const {
        check(followings.size() == distances.size() && followings.size() == classes.size() &&
                  tables.shape(0) == left.shape(0),
              "number of tables");
        std::vector<Restriction> every(followings.size());
        for (size_t t = 0; t < every.size(); ++t) {
            const auto states = static_cast<int32_t>(followings[t].shape(0));
            const auto C = static_cast<int32_t>(followings[t].shape(1));
            check(distances[t].shape(0) == followings[t].shape(0) &&
                      classes[t].shape(0) == static_cast<size_t>(shape_.vocabulary),
                  "shape of a table: (S, C), (S), (V)");
            for (int v = 0; v < shape_.vocabulary; ++v)
                check(classes[t].data()[v] >= 0 && classes[t].data()[v] < C, "class of an id");
            every[t] = {followings[t].data(), distances[t].data(), classes[t].data(), states, C, 0};
        }
        std::vector<Restriction> found(tables.shape(0));
        for (size_t b = 0; b < found.size(); ++b) {
            const int32_t t = tables.data()[b];
            check(t < static_cast<int32_t>(every.size()), "number of a table");
            if (t >= 0) found[b] = every[t];
            found[b].left = left.data()[b];
        }
        return found;
    }
    StatePointers check_state(Out<float, 3>& hidden, Out<float, 3>& cell, size_t B) const {
        for (auto* a : {&hidden, &cell})
            check(a->shape(0) == static_cast<size_t>(shape_.layers) && a->shape(1) == B &&
                      a->shape(2) == static_cast<size_t>(shape_.hidden),
                  "shape of the state: (L, B, H)");
        return {hidden.data(), cell.data()};
    }
    size_t elements(int tensor) const {
        check(tensor >= 0 && tensor < network_->tensors(), "number of a weight");
        return network_->elements(tensor);
    }

    // Other Python threads go on while one computes; those that want this network wait.
    struct Alone {
        explicit Alone(std::mutex& mutex) : lock(mutex) {}
        nb::gil_scoped_release release;
        std::lock_guard<std::mutex> lock;
    };

    // A thread that computed while the process forked does not go on in the child, and would
    // hold its mutex there for ever; so a child has a mutex of its own. Python's lock is held.
    std::mutex& mutex() {
        if (process_ != getpid()) {
            mutex_.release();  // of the parent: neither locked nor destroyed here
            mutex_ = std::make_unique<std::mutex>();
            process_ = getpid();
        }
        return *mutex_;
    }

    const Shape shape_;
    std::unique_ptr<Network> network_;
    std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
    pid_t process_ = getpid();
};

}  // namespace

NB_MODULE(_native, m) {
#if defined(NDEBUG)
    nb::set_leak_warnings(false);  // a process that ends while one computes has not freed it
#endif
    m.def("available_kernels", &available_kernels,
          "Names of the kernels this processor can run, the fastest first.");
    m.def("product_peak", &measure_peak, "kernels"_a, "bfloat16"_a, "threads"_a,
          "seconds"_a = 0.5, "Operations per second of the bare product on these threads.");
    m.def("round_trip", &measure_round_trip, "seconds"_a = 0.1,
          "Seconds for a cache line to another core and back.");
    nb::class_<CheckedNetwork>(m, "Network")
        .def(nb::init<const std::string&, const std::string&, int, const std::string&, int, int, int,
                      int>(),
             "kernels"_a, "precision"_a, "threads"_a, "cell"_a, "vocabulary"_a, "embedding"_a,
             "hidden"_a, "layers"_a)
        .def_prop_ro("quantities", &CheckedNetwork::quantities, "How many a trace has.")
        .def("read", &CheckedNetwork::read)
        .def("write", &CheckedNetwork::write)
        .def("train_step", &CheckedNetwork::train_step, "inputs"_a, "targets"_a, "hidden"_a,
             "cell"_a, "learning_rate"_a, "beta1"_a, "beta2"_a, "epsilon"_a, "clip_norm"_a,
             "dropout"_a, "dropout_key"_a, "step"_a, "logits"_a = nb::none())
        .def("logits", &CheckedNetwork::logits)
        .def("surprise", &CheckedNetwork::surprise)
        .def("trace", &CheckedNetwork::trace)
        .def("generate", &CheckedNetwork::generate, "last"_a, "hidden"_a, "cell"_a,
             "temperatures"_a, "top_ks"_a, "top_ps"_a, "seeds"_a, "starts"_a, "forbidden"_a,
             "ids"_a, "followings"_a = std::vector<In<int32_t, 2>>(),
             "distances"_a = std::vector<In<int32_t, 1>>(),
             "classes"_a = std::vector<In<int32_t, 1>>(), "tables"_a = nb::none(),
             "left"_a = nb::none(), "states"_a = nb::none());
}

}  // namespace charloom
