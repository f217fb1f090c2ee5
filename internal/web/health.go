package web

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// health answers /healthz and /readyz.
type health struct {
	checks   []Readiness
	cfg      *Config
	stopping atomic.Bool

	mu   sync.Mutex
	at   time.Time
	down []string // names of what is not there
}

// ask asks all that must be ready, at most once a second for all who want to know.
func (h *health) ask(ctx context.Context) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(h.at) < time.Second {
		return h.down
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	down := make([]string, len(h.checks))
	var wg sync.WaitGroup
	for i, c := range h.checks {
		wg.Go(func() {
			if err := c.Check(ctx); err != nil {
				down[i] = c.Name
				h.cfg.Log.Warn("not ready", "part", c.Name, "err", clip(err))
			}
		})
	}
	wg.Wait()
	h.down = nil
	for _, name := range down {
		if name != "" {
			h.down = append(h.down, name)
		}
	}
	h.at = time.Now()
	return h.down
}

// state is the answer. What is not there only the private port tells.
type state struct {
	Status string   `json:"status"`
	Down   []string `json:"down,omitempty"`
	// Degraded names what is worse than it should be although requests are answered.
	Degraded []string `json:"degraded,omitempty"`
}

// degraded is for the private port: it never changes a status.
func (h *health) degraded(private bool) []string {
	if !private || h.cfg.Degraded == nil {
		return nil
	}
	return h.cfg.Degraded()
}

func (h *health) routes(private bool) []*Route {
	return []*Route{
		{Method: http.MethodGet, Pattern: "/healthz", Name: "healthz", Handler: func(w http.ResponseWriter, _ *http.Request) error {
			return JSON(w, http.StatusOK, state{Status: "ok", Degraded: h.degraded(private)})
		}},
		{Method: http.MethodGet, Pattern: "/readyz", Name: "readyz", Handler: func(w http.ResponseWriter, r *http.Request) error {
			if h.stopping.Load() {
				return JSON(w, http.StatusServiceUnavailable, state{Status: "stopping"})
			}
			down := h.ask(r.Context())
			if len(down) == 0 {
				return JSON(w, http.StatusOK, state{Status: "ready", Degraded: h.degraded(private)})
			}
			s := state{Status: "not_ready"}
			if private {
				s.Down = down
			}
			return JSON(w, http.StatusServiceUnavailable, s)
		}},
	}
}
