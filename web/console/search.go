package console

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/work"
)

// searchRoutes are the search. What somebody looks for is a name, so it stands in no
// address.
func (c *Console) searchRoutes() []route {
	if c.cfg.Work == nil {
		return nil
	}
	return []route{
		get("search", "/search", staff.Search, c.search).in("work.nav.search"),
		post("search_find", "/search", staff.Search, c.find),
	}
}

// foundView is a record in a list.
type foundView struct {
	Ref, Title, ID, Born string
	Names                []nameView
}

func newFoundView(r *request, f work.Found) foundView {
	return foundView{Ref: f.Ref, Title: r.Lang.Pick(f.Programme.Labels), ID: f.Record.ID, Born: born(r, f), Names: names(f)}
}

// searchPage is what page/search.html shows.
type searchPage struct {
	// Asked says that somebody looked for something.
	Asked    bool
	Found    []foundView
	More     bool
	In       string
	After    string
	Building []buildingView
	Text     string
}

// buildingView is a programme that cannot be searched by name yet.
type buildingView struct {
	Title   string
	Records int64
}

func (c *Console) search(w http.ResponseWriter, r *request) error {
	return c.render(w, r, http.StatusOK, "search", searchPage{})
}

func (c *Console) find(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	s := work.Search{Text: f.Get("text"), Programme: f.Get("in")}
	s.After, _ = strconv.ParseInt(f.Get("after"), 10, 64) // one that is no number is the beginning
	found, err := c.cfg.Work.Find(r.Context(), r.Operator, s)
	switch {
	case errors.Is(err, work.ErrSearch):
		f.fail("text", "work.search.empty")
		return c.renderForm(w, r, http.StatusOK, "search", f, searchPage{})
	case err != nil:
		return workError(err)
	}
	data := searchPage{Asked: true, More: found.More, In: found.In, After: strconv.FormatInt(found.After, 10), Text: s.Text}
	for _, hit := range found.Found {
		data.Found = append(data.Found, newFoundView(r, hit))
	}
	for _, b := range found.Building {
		p, err := c.cfg.Work.Programme(r.Context(), b.Programme)
		if errors.Is(err, issuance.ErrNoProgramme) {
			continue
		}
		if err != nil {
			return workError(err)
		}
		data.Building = append(data.Building, buildingView{r.Lang.Pick(p.Labels), b.Records})
	}
	return c.renderForm(w, r, http.StatusOK, "search", f, data)
}
