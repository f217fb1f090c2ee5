package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/strict"
)

// A Problem is a refusal as problem details (RFC 9457). Type is about:blank, so
// that its title is that of the status; Code tells programs which it is.
type Problem struct {
	Status int
	// Code is one word of a closed set, such as expired.
	Code string
	// Detail is a sentence for the developer at the other end. It says nothing
	// about persons.
	Detail string
	// Retry is after how long it may be tried again, if it may.
	Retry time.Duration
}

// Error is the code and the detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// Reply writes the problem details.
func (p *Problem) Reply(w http.ResponseWriter) {
	if p.Retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int((p.Retry+time.Second-1)/time.Second))))
	}
	body := struct {
		Title   string `json:"title"`
		Status  int    `json:"status"`
		Code    string `json:"code,omitempty"`
		Detail  string `json:"detail,omitempty"`
		Request string `json:"request_id,omitempty"`
	}{http.StatusText(p.Status), p.Status, p.Code, p.Detail, w.Header().Get(requestIDHeader)}
	b, err := json.Marshal(body)
	if err != nil {
		panic("web: internal error: a problem has no JSON")
	}
	Write(w, p.Status, MediaProblem, b)
}

// Refuse returns a [*Problem].
func Refuse(status int, code, format string, args ...any) error {
	return &Problem{Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// JSON answers with v in JSON. It is encoded before anything is written, so that an
// error can still be answered.
func JSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	Write(w, status, MediaJSON, b)
	return nil
}

// Write answers with a body that is complete.
func Write(w http.ResponseWriter, status int, media string, body []byte) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone is nobody's business
}

// Body reads the whole body, which the route has limited.
func Body(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, readError(err)
	}
	return b, nil
}

// readError is what a body that does not arrive whole is answered with.
func readError(err error) error {
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return e
	}
	return Refuse(http.StatusBadRequest, "bad_body", "the body did not arrive whole")
}

// ReadJSON reads the body as one JSON value under the rules of package strict.
// limits.Bytes is that of the route.
func ReadJSON(r *http.Request, depth, items int) (strict.Value, error) {
	b, err := Body(r)
	if err != nil {
		return strict.Value{}, err
	}
	v, err := strict.Limits{Bytes: max(1, len(b)), Depth: depth, Items: items}.JSON(b)
	if err != nil {
		return strict.Value{}, Refuse(http.StatusBadRequest, "bad_json", "the body is not JSON as it is taken here")
	}
	return v, nil
}

// maxParameters is the most parameters of a form or a query.
const maxParameters = 64

// ErrRepeated: a parameter occurs twice.
var ErrRepeated = errors.New("web: a parameter occurs twice")

// Form reads the body as a form (application/x-www-form-urlencoded) in which no
// parameter occurs twice (RFC 6749 section 3.2). ErrRepeated is beneath the refusal
// of one that does.
func Form(r *http.Request) (url.Values, error) {
	b, err := Body(r)
	if err != nil {
		return nil, err
	}
	return parameters(string(b), "the body")
}

// Query reads the query in the address as [Form] does the body.
func Query(r *http.Request) (url.Values, error) { return parameters(r.URL.RawQuery, "the query") }

func parameters(text, where string) (url.Values, error) {
	if strings.Count(text, "&") >= maxParameters {
		return nil, Refuse(http.StatusBadRequest, "bad_form", "%s has too many parameters", where)
	}
	v, err := url.ParseQuery(text)
	if err != nil {
		return nil, Refuse(http.StatusBadRequest, "bad_form", "%s is not a form", where)
	}
	for _, all := range v {
		if len(all) > 1 {
			return nil, &repeated{Problem{Status: http.StatusBadRequest, Code: "bad_form", Detail: "a parameter of " + where + " occurs twice"}}
		}
	}
	return v, nil
}

// repeated is the refusal of a parameter that occurs twice.
type repeated struct{ Problem }

func (*repeated) Unwrap() error { return ErrRepeated }

// Bearer returns the token of an Authorization header of the Bearer scheme, "" if
// there is none.
func Bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
