// oneDNN's own LSTM, bare: the forward and backward pass of every layer and nothing else.
//
// Compiled by peers.py where the library is installed. Reads a line "shape bfloat16 V H L B T",
// then "step" repeatedly, and answers each step, once it is done, with its number of characters.
// Weights are already in the layout that oneDNN prefers; converting them is not timed.
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "dnnl.hpp"

using namespace dnnl;
using Type = memory::data_type;
using Tag = memory::format_tag;
using Arguments = std::unordered_map<int, memory>;

static engine cpu(engine::kind::cpu, 0);
static stream queue(cpu);

static memory filled(const memory::desc& description) {
    memory made(description, cpu);
    // 0x3c3c is about 0.011 in either type: small, equal, and far from denormal numbers.
    std::memset(made.get_data_handle(), 0x3c, description.get_size());
    return made;
}

// Layers of equal input size: the first on its own, since V differs from H, then all others.
struct Layers {
    primitive forward, backward;
    Arguments up, down;

    Layers(Type type, int T, int B, int inputs, int H, int layers) {
        auto any = [](memory::dims dims, Type t) { return memory::desc(dims, t, Tag::any); };
        const Type f32 = Type::f32;
        const memory::dims source{T, B, inputs}, target{T, B, H}, state{layers, 1, B, H};
        const memory::dims input_weights{layers, 1, inputs, 4, H};
        const memory::dims hidden_weights{layers, 1, H, 4, H};
        const memory::dims bias_dims{layers, 1, 4, H};
        const memory::desc bias(bias_dims, f32, Tag::ldgo);
        const memory::desc x(source, type, Tag::tnc), y(target, type, Tag::tnc);
        const memory::desc h(state, type, Tag::ldnc), c(state, f32, Tag::ldnc);
        const memory::desc dx(source, f32, Tag::tnc), dy(target, f32, Tag::tnc);
        const memory::desc ds(state, f32, Tag::ldnc);
        const auto direction = rnn_direction::unidirectional_left2right;
        lstm_forward::primitive_desc forward_desc(
            cpu, prop_kind::forward_training, direction, x, h, c, any(input_weights, type),
            any(hidden_weights, type), bias, y, h, c);
        lstm_backward::primitive_desc backward_desc(
            cpu, prop_kind::backward, direction, x, h, c, any(input_weights, type),
            any(hidden_weights, type), bias, y, h, c, dx, ds, ds, any(input_weights, f32),
            any(hidden_weights, f32), bias, dy, ds, ds, forward_desc);
        forward = lstm_forward(forward_desc);
        backward = lstm_backward(backward_desc);
        up = {{DNNL_ARG_SRC_LAYER, filled(x)},
              {DNNL_ARG_SRC_ITER, filled(h)},
              {DNNL_ARG_SRC_ITER_C, filled(c)},
              {DNNL_ARG_WEIGHTS_LAYER, filled(forward_desc.weights_layer_desc())},
              {DNNL_ARG_WEIGHTS_ITER, filled(forward_desc.weights_iter_desc())},
              {DNNL_ARG_BIAS, filled(bias)},
              {DNNL_ARG_DST_LAYER, filled(y)},
              {DNNL_ARG_DST_ITER, filled(h)},
              {DNNL_ARG_DST_ITER_C, filled(c)},
              {DNNL_ARG_WORKSPACE, filled(forward_desc.workspace_desc())}};
        down = up;
        down[DNNL_ARG_WEIGHTS_LAYER] = filled(backward_desc.weights_layer_desc());
        down[DNNL_ARG_WEIGHTS_ITER] = filled(backward_desc.weights_iter_desc());
        down[DNNL_ARG_DIFF_SRC_LAYER] = filled(dx);
        down[DNNL_ARG_DIFF_SRC_ITER] = filled(ds);
        down[DNNL_ARG_DIFF_SRC_ITER_C] = filled(ds);
        down[DNNL_ARG_DIFF_WEIGHTS_LAYER] = filled(backward_desc.diff_weights_layer_desc());
        down[DNNL_ARG_DIFF_WEIGHTS_ITER] = filled(backward_desc.diff_weights_iter_desc());
        down[DNNL_ARG_DIFF_BIAS] = filled(bias);
        down[DNNL_ARG_DIFF_DST_LAYER] = filled(dy);
        down[DNNL_ARG_DIFF_DST_ITER] = filled(ds);
        down[DNNL_ARG_DIFF_DST_ITER_C] = filled(ds);
    }
};

static void step(std::vector<Layers>& network) {
    for (auto& layers : network) layers.forward.execute(queue, layers.up);
    for (auto layers = network.rbegin(); layers != network.rend(); ++layers)
        layers->backward.execute(queue, layers->down);
    queue.wait();
}

int main() try {
    std::vector<Layers> network;
    double characters = 0;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string kind;
        words >> kind;
        if (kind == "shape") {
            int bfloat16, V, H, L, B, T;
            words >> bfloat16 >> V >> H >> L >> B >> T;
            const Type type = bfloat16 ? Type::bf16 : Type::f32;
            network.clear();
            network.emplace_back(type, T, B, V, H, 1);
            if (L > 1) network.emplace_back(type, T, B, H, H, L - 1);
            characters = static_cast<double>(B) * T;
            for (int n = 0; n < 2; ++n) step(network);
            std::cout << "ready" << std::endl;
        } else {
            step(network);
            std::cout << characters << std::endl;
        }
    }
} catch (const std::exception& error) {
    std::cout << "error " << error.what() << std::endl;
    return 1;
}
