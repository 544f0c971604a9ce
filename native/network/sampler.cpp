#include "network/sampler.h"

#include <algorithm>
#include <cmath>

namespace charloom {

Sampler::Sampler(const std::vector<int32_t>& forbidden, int vocabulary) : p_(vocabulary) {
    for (int v = 0; v < vocabulary; ++v)
        if (std::find(forbidden.begin(), forbidden.end(), v) == forbidden.end())
            known_.push_back(v);
}

int Sampler::draw(const float* logits, const Sampling& sampling, double uniform) {
    order_ = known_;
    return draw_of_order(logits, sampling, uniform);
}

int Sampler::draw(const float* logits, const Sampling& sampling, double uniform,
                  const Restriction& restriction, int n, int32_t state, int32_t& after) {
    after = -1;
    const int32_t* following = nullptr;
    order_.clear();
    if (state >= 0 && state < restriction.states) {
        following = restriction.following + static_cast<size_t>(state) * restriction.C;
        for (int v : known_) {
            const int32_t next = following[restriction.classes[v]];
            if (next >= 0 && next < restriction.states &&
                restriction.distance[next] < restriction.left - n)
                order_.push_back(v);
        }
    }
    if (order_.empty()) return draw(logits, sampling, uniform);
    const int id = draw_of_order(logits, sampling, uniform);
    after = following[restriction.classes[id]];
    return id;
}

int Sampler::draw_of_order(const float* logits, const Sampling& sampling, double uniform) {
    // A NaN counts as the least likely, so that there is an order.
    auto logit = [&](int v) { return std::isnan(logits[v]) ? -INFINITY : logits[v]; };
    auto likelier = [&](int a, int b) {
        const float x = logit(a), y = logit(b);
        return x > y || (x == y && a < b);
    };
    int best = order_.front();
    for (int v : order_)
        if (logit(v) > logit(best)) best = v;
    if (sampling.temperature == 0) return best;

    const bool sorted = sampling.top_k > 0 || sampling.top_p < 1;
    if (sorted) std::sort(order_.begin(), order_.end(), likelier);
    if (sampling.top_k > 0 && sampling.top_k < static_cast<int>(order_.size()))
        order_.resize(sampling.top_k);
    double total = 0;
    for (int v : order_) {
        p_[v] = std::exp((static_cast<double>(logits[v]) - logits[best]) / sampling.temperature);
        total += p_[v];
    }
    if (sampling.top_p < 1) {
        double kept = 0;
        size_t count = 0;
        do kept += p_[order_[count++]];
        while (count < order_.size() && kept < sampling.top_p * total);
        order_.resize(count);
        total = kept;
    }
    if (sorted) std::sort(order_.begin(), order_.end());
    double reached = 0;
    for (int v : order_) {
        reached += p_[v];
        if (reached > uniform * total) return v;
    }
    return order_.back();
}

}  // namespace charloom
