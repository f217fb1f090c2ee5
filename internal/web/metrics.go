package web

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the figures of one process. Every label has a closed set of values,
// so that neither a person nor a flood of requests gets into them.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	running  prometheus.Gauge
	limited  *prometheus.CounterVec
	busy     *prometheus.CounterVec
	panics   prometheus.Counter
	degraded prometheus.Counter
}

// NewMetrics returns figures that nobody has counted yet.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sanad_http_requests_total", Help: "Requests by route, method and class of status.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sanad_http_request_seconds", Help: "Time to answer, by route; streams are not in it.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"route"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sanad_http_requests_running", Help: "Requests that are being answered.",
		}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sanad_http_rate_limited_total", Help: "Requests refused with 429, by class of the limit.",
		}, []string{"class"}),
		busy: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sanad_http_overloaded_total", Help: "Requests refused with 503 because too many were being answered, by class of the limit.",
		}, []string{"class"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sanad_http_panics_total", Help: "Requests that ended in a panic.",
		}),
		degraded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sanad_http_rate_limits_unreachable_total", Help: "Requests whose limit could not be asked of Redis.",
		}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.running, m.limited, m.busy, m.panics, m.degraded,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// A Counter counts events of one sort.
type Counter struct {
	vec    *prometheus.CounterVec
	values []string
}

// other stands for a value that a label does not have.
const other = "other"

// Counter makes a counter with one label of these values. The name is prefixed with
// sanad_ and ends in _total. It panics if the name is in use.
func (m *Metrics) Counter(name, help, label string, values ...string) *Counter {
	c := &Counter{prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sanad_" + name, Help: help}, []string{label}), values}
	m.registry.MustRegister(c.vec)
	for _, v := range append(values, other) {
		c.vec.WithLabelValues(v) // shown from the start, as 0
	}
	return c
}

// Add counts one event. A value that was not named before counts as "other".
func (c *Counter) Add(value string) {
	if !slices.Contains(c.values, value) {
		value = other
	}
	c.vec.WithLabelValues(value).Inc()
}

// Gauge makes a figure that f says when it is asked.
func (m *Metrics) Gauge(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sanad_" + name, Help: help}, f))
}

// A Sample is a value of a figure under its labels.
type Sample struct {
	Labels []string
	Value  float64
}

// maxSamples is the most values of one figure that are shown.
const maxSamples = 1000

// Gauges makes a figure with labels, whose values f says when it is asked. The labels
// must come from a small set that no request can add to, and no two samples share them.
func (m *Metrics) Gauges(name, help string, labels []string, f func() []Sample) {
	m.registry.MustRegister(&gauges{prometheus.NewDesc("sanad_"+name, help, labels, nil), f})
}

// gauges is a prometheus.Collector.
type gauges struct {
	desc *prometheus.Desc
	f    func() []Sample
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) { ch <- g.desc }

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	all := g.f()
	for _, s := range all[:min(len(all), maxSamples)] {
		ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, s.Value, s.Labels...)
	}
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// request counts one request.
func (m *Metrics) request(route, method string, status int, took time.Duration, stream bool) {
	m.requests.WithLabelValues(route, knownMethod(method), strconv.Itoa(status/100)+"xx").Inc()
	if !stream {
		m.seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}

// knownMethod bounds what a client may write as method.
func knownMethod(m string) string {
	if slices.Contains(methods, m) || m == http.MethodHead || m == http.MethodOptions {
		return m
	}
	return other
}
