package console

import (
	"cmp"
	"encoding/json"
	"net/http"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/web"
)

// A liveBatch is what a page says about progress, in words.
type liveBatch struct {
	State string `json:"state"`
	// Done of Total records; Percent is -1 if nobody knows.
	Percent int    `json:"percent"`
	Text    string `json:"text"`
	Rest    string `json:"rest"`
	Trouble string `json:"trouble"`
}

func live(l i18n.Language, j batchwork.Job, now time.Time) liveBatch {
	v := liveBatch{State: string(j.State), Percent: -1}
	if s := j.Share(); s >= 0 {
		v.Percent = int(s * 100)
	}
	if j.Print.Pending() {
		v.Percent = int(min(100, 100*j.Print.Done/max(1, j.Done.Good)))
	}
	n := func(n int64) string { return l.Quantity(int(n)) }
	switch {
	case j.Print.Pending():
		v.Text = l.Text("manage.batch.live.printing", map[string]string{"n": n(j.Print.Done), "all": n(j.Done.Good)})
	case j.Waits(now):
		v.Text = l.Count("manage.batch.rest.minutes", int((j.Due.Sub(now)+time.Minute-1)/time.Minute))
	case j.Kind == batchwork.Revoking && j.State == batchwork.Checking:
		v.Text = l.Text("manage.revoke.live.listing", nil)
	case j.Kind == batchwork.Revoking && (j.State == batchwork.Running || j.State == batchwork.Paused || j.State == batchwork.Failed || j.State == batchwork.Cancelled):
		v.Text = l.Text("manage.revoke.live.running", map[string]string{"n": n(j.Done.Good), "all": n(j.Dry.Good)})
	case j.State == batchwork.Checking:
		v.Text = l.Text("manage.batch.live.checking", map[string]string{"n": n(j.Done.Records), "bad": n(j.Done.Faulty + j.Done.Skipped)})
	case j.State == batchwork.Running || j.State == batchwork.Paused || j.State == batchwork.Failed || j.State == batchwork.Cancelled && j.Batch != "":
		v.Text = l.Text("manage.batch.live.running", map[string]string{"n": n(j.Done.Records), "all": n(j.Dry.Records), "issued": n(j.Done.Good)})
	}
	if left := j.Remaining(); left > 0 && j.State == batchwork.Running {
		switch minutes := int((left + time.Minute - 1) / time.Minute); {
		case minutes < 120:
			v.Rest = l.Count("manage.batch.rest.minutes", minutes)
		default:
			v.Rest = l.Count("manage.batch.rest.hours", (minutes+59)/60)
		}
	}
	why := j.Why
	if j.Print.Pending() {
		why = j.Print.Why
	}
	if why != batchwork.NoReason {
		v.Trouble = l.Text("manage.why."+string(why), nil)
	}
	return v
}

// seen is what a page was drawn for. A job that is elsewhere needs it drawn anew.
func seen(j batchwork.Job, now time.Time) string {
	switch {
	case j.Print.Pending():
		return string(j.State) + "-printing"
	case j.Waits(now):
		return string(j.State) + "-waiting"
	}
	return string(j.State)
}

// batchEvents streams the progress of a job until it is elsewhere than the page shows,
// which may be at once: a small batch ends before the page has asked.
func (c *Console) batchEvents(w http.ResponseWriter, r *request) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	e, err := web.NewEvents(w)
	if err != nil {
		return nil // the browser is gone
	}
	drawn, last := cmp.Or(r.URL.Query().Get("seen"), seen(j, c.now())), []byte(nil)
	end := time.NewTimer(liveTime - 10*time.Second)
	defer end.Stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for quiet := 0; ; quiet++ {
		b, err := json.Marshal(live(r.Lang, j, c.now()))
		if err != nil {
			return nil
		}
		switch {
		case seen(j, c.now()) != drawn:
			_ = e.Send("moved", b) // whoever is gone asks again
			return nil
		case string(b) != string(last):
			last, quiet = b, 0
			err = e.Send("progress", b)
		case quiet%15 == 14:
			err = e.Ping()
		}
		if err != nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-end.C:
			return nil
		case <-r.Context().Done():
			return nil
		case <-web.Closing(r.Context()):
			return nil
		}
		if next, err := c.cfg.Manage.Batches.Store().Job(r.Context(), j.ID); err == nil {
			j = next
		}
	}
}
