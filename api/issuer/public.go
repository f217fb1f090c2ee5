package issuer

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"time"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/published"
	"github.com/sanad-id/sanad/internal/web"
)

// trustType is the media type of a trust bundle.
const trustType = "application/octet-stream"

// serveStatus answers with a status list: as JWT to whoever names that, else as CWT if
// there is one (Token Status List section 8.1). It comes from the published folder, so
// that it is there when nothing else is (promise P29).
func (e *Endpoints) serveStatus(w http.ResponseWriter, r *http.Request) error {
	q, err := web.Query(r)
	if err != nil {
		return err
	}
	if q.Has("time") { // section 8.4: the list of now is no answer to that
		return web.Refuse(http.StatusNotImplemented, "no_history", "this server has the list of now only")
	}
	if len(q) > 0 {
		return web.Refuse(http.StatusBadRequest, "unexpected_query", "this address takes no query")
	}
	list := r.PathValue("list")
	forms := []struct{ suffix, media string }{{".cwt", status.MediaType}, {".jwt", status.MediaTypeJWT}}
	if accept := r.Header.Values("Accept"); wants(accept, status.MediaTypeJWT) && !wants(accept, status.MediaType) {
		forms[0], forms[1] = forms[1], forms[0]
	}
	x, err := e.index(r.Context())
	if err != nil {
		return err
	}
	w.Header().Add("Vary", "Accept")
	for _, f := range forms {
		if len(x.Versions(list+f.suffix)) > 0 {
			return e.servePublished(w, r, x, list+f.suffix, f.media)
		}
	}
	return notFound()
}

// serveTrust answers with the trust bundle.
func (e *Endpoints) serveTrust(w http.ResponseWriter, r *http.Request) error {
	x, err := e.index(r.Context())
	if err != nil {
		return err
	}
	if x.Trust == nil {
		return notFound()
	}
	return e.servePublished(w, r, x, x.Trust.File, trustType)
}

// index reads what is published now.
func (e *Endpoints) index(ctx context.Context) (published.Index, error) {
	x, err := e.published.Index()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return x, notFound()
	case err != nil:
		return x, e.damaged(ctx, err)
	}
	return x, nil
}

// servePublished answers with a file that the index names. Its age is that of what it
// says, not of the copy.
func (e *Endpoints) servePublished(w http.ResponseWriter, r *http.Request, x published.Index, name, media string) error {
	c, err := e.published.File(x, name)
	if err != nil {
		// Index and file may be of two moments, if they were read while a round ended.
		if x, err = e.index(r.Context()); err != nil {
			return err
		}
		if c, err = e.published.File(x, name); err != nil {
			return e.damaged(r.Context(), err)
		}
	}
	w.Header().Set("Last-Modified", c.IssuedAt.UTC().Format(http.TimeFormat))
	return Document{media, c.Content}.answerAs(w, r, c.SHA256[:32])
}

// damaged refuses to hand out what is not what was published. Whoever comes again gets it
// when the publisher has put it right, which takes until its next round.
func (e *Endpoints) damaged(ctx context.Context, err error) error {
	e.cfg.Count("published_damaged")
	e.cfg.Log.ErrorContext(ctx, "the published folder is damaged", "err", err, "request_id", web.RequestID(ctx))
	return &web.Problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "try again later", Retry: time.Minute}
}

// TrustBundle is the trust bundle that is published now, nil if there is none or it
// cannot be read.
func (e *Endpoints) TrustBundle() []byte {
	if e.cfg.Published == "" {
		return nil
	}
	x, err := e.published.Index()
	if err != nil || x.Trust == nil {
		return nil
	}
	c, err := e.published.File(x, x.Trust.File)
	if err != nil {
		return nil
	}
	return c.Content
}

// Path is the path of the issuer's address, "" if it has none.
func (e *Endpoints) Path() string { return e.path }
