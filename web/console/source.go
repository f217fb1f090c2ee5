package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/staff"
)

// sourceRoutes are the pages of the registries of the settings.
func (c *Console) sourceRoutes() []route {
	if c.cfg.Manage.Sources == nil {
		return nil
	}
	check := post("source_check", "/sources/check", staff.CheckSource, c.checkSource)
	check.Timeout = checkTime + 10*time.Second
	return []route{
		get("sources", "/sources", staff.ViewSource, c.sources).in("manage.nav.sources"),
		check,
	}
}

// A sourceView is the page of all sources, and what was found in one.
type sourceView struct {
	Sources []SourceInfo
	Checked *sourceReport
}

// A sourceReport is what is in a source: names of columns and numbers, no values.
type sourceReport struct {
	Name            string
	Columns         []string
	Records, Broken int
	// Part says that there are more records than were looked at.
	Part bool
	// Wrong is how the source differs from what the settings say.
	Wrong string
}

// sources lists them.
func (c *Console) sources(w http.ResponseWriter, r *request) error {
	return c.render(w, r, http.StatusOK, "sources", sourceView{Sources: c.cfg.Manage.Sources.Sources()})
}

// checkSource reads a source, as far as there is time.
func (c *Console) checkSource(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	v := sourceView{Sources: c.cfg.Manage.Sources.Sources()}
	for _, s := range v.Sources {
		if s.Name == f.Get("source") {
			v.Checked = &sourceReport{Name: s.Name}
		}
	}
	if v.Checked == nil {
		return errNotFound
	}
	err = c.act(r, deed{Action: staff.CheckSource, Subject: "source"}, func(ctx context.Context) error {
		err := v.Checked.read(ctx, c.cfg.Manage.Sources)
		if e, ok := errors.AsType[*batchwork.SourceError](err); ok {
			v.Checked.Wrong = e.Err.Error()
			return nil
		}
		return away("source", err)
	})
	if err != nil {
		return err
	}
	return c.render(w, r, http.StatusOK, "sources", v)
}

// read counts the records of the source for at most checkTime.
func (v *sourceReport) read(ctx context.Context, sources Sources) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	src, err := sources.OpenSource(ctx, v.Name, &programme.Programme{})
	if err != nil {
		return err
	}
	defer func() {
		if k, ok := src.(interface{ Close() error }); ok {
			_ = k.Close()
		}
	}()
	v.Columns = src.Columns().Names()
	end := time.Now().Add(checkTime - 10*time.Second)
	for _, err := range src.Records(ctx) {
		if _, broken := errors.AsType[*registry.RowError](err); broken {
			v.Broken++
		} else if err != nil {
			return err
		}
		if v.Records++; v.Records%1000 == 0 && time.Now().After(end) {
			v.Part = true
			break
		}
	}
	return nil
}
