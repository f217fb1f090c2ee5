package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// eventPatience is how long one event may take to get away.
const eventPatience = 15 * time.Second

// Events writes server-sent events (HTML standard, section 9.2) on a route that is a
// Stream.
type Events struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// NewEvents begins the answer.
func NewEvents(w http.ResponseWriter) (*Events, error) {
	w.Header().Set("Content-Type", MediaEvents)
	w.WriteHeader(http.StatusOK)
	e := &Events{w, http.NewResponseController(w)}
	return e, e.flush(": begin\n\n")
}

// Send sends an event with one line of data, such as JSON.
func (e *Events) Send(event string, data []byte) error {
	if strings.ContainsAny(event, "\r\n") || strings.ContainsAny(string(data), "\r\n") {
		return fmt.Errorf("an event of several lines")
	}
	return e.flush("event: " + event + "\ndata: " + string(data) + "\n\n")
}

// Ping sends a comment, so that nobody on the way takes the stream for dead.
func (e *Events) Ping() error { return e.flush(": wait\n\n") }

func (e *Events) flush(text string) error {
	if err := e.c.SetWriteDeadline(time.Now().Add(eventPatience)); err != nil {
		return err
	}
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.c.Flush()
}
