package console

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/work"
)

// queueRoutes are the queues of an office and the items in them.
func (c *Console) queueRoutes() []route {
	if c.cfg.Work == nil {
		return nil
	}
	return []route{
		get("queues", "/queues", staff.ViewQueue, c.queues).in("work.nav.queues"),
		get("queue_counts", "/queues/counts.json", staff.ViewQueue, c.queueCounts),
		get("queue", "/queues/{queue}", staff.ViewQueue, c.queue),
		get("item", "/items/{id}", staff.ViewRecord, c.item),
		post("item_approve", "/items/{id}/approve", staff.ApproveIssue, c.approve),
		post("item_return", "/items/{id}/return", staff.ApproveIssue, c.sendBack),
		post("item_refuse", "/items/{id}/refuse", staff.ApproveIssue, c.turnDown),
		post("item_withdraw", "/items/{id}/withdraw", staff.ProposeIssue, c.withdraw),
		post("item_issue", "/items/{id}/issue", staff.Issue, c.issue),
		post("item_recheck", "/items/{id}/recheck", staff.SolveProblem, c.recheck),
		post("item_printed", "/items/{id}/printed", staff.Print, c.printed),
		post("item_offer", "/items/{id}/offer", staff.Offer, c.offerItem),
		post("item_undo", "/items/{id}/undo", staff.UndoChange, c.undo),
		post("item_now", "/items/{id}/now", staff.ChangeNow, c.hurry),
	}
}

// workError gives an error of the desk its place: what is a sentinel keeps it, what is
// not is somebody else's and may pass.
func workError(err error) error {
	if err == nil {
		return nil
	}
	for _, f := range faults {
		if errors.Is(err, f.err) {
			return err
		}
	}
	return away("work", err)
}

// queueView is a queue in the list of queues.
type queueView struct {
	Queue work.Queue
	Count int
	Here  bool
}

// queueViews are all queues with their counts.
func (c *Console) queueViews(r *request, here work.Queue) ([]queueView, error) {
	counts, err := c.cfg.Work.Counts(r.Context(), r.Operator)
	if err != nil {
		return nil, workError(err)
	}
	var all []queueView
	for _, q := range work.Queues() {
		all = append(all, queueView{q, counts[q], q == here})
	}
	return all, nil
}

// atWork is how much waits in all queues, for the navigation. A page does not fail for
// want of it.
func (c *Console) atWork(r *request, row *route) int {
	if row.Nav != "work.nav.queues" {
		return 0
	}
	all, err := c.queueViews(r, "")
	if err != nil {
		return 0
	}
	n := 0
	for _, q := range all {
		n += q.Count
	}
	return n
}

// queues lists the queues of the office.
func (c *Console) queues(w http.ResponseWriter, r *request) error {
	all, err := c.queueViews(r, "")
	if err != nil {
		return err
	}
	return c.render(w, r, http.StatusOK, "queue", queuePage{Queues: all})
}

// queueCounts tells the counts to a script that keeps them up to date.
func (c *Console) queueCounts(w http.ResponseWriter, r *request) error {
	all, err := c.queueViews(r, "")
	if err != nil {
		return err
	}
	counts := map[string]string{}
	for _, q := range all {
		counts[string(q.Queue)] = r.Lang.Number(q.Count)
	}
	return web.JSON(w, http.StatusOK, counts)
}

// queuePage is what page/queue.html shows.
type queuePage struct {
	Queues []queueView
	Queue  work.Queue
	Items  []itemView
	// Next continues behind this page.
	Next string
}

// itemView is an item as pages show it.
type itemView struct {
	work.Item
	// Names are those of the person, Title that of the programme.
	Names []nameView
	Born  string
	Title string
	Ref   string
	// By is who asked, Second who agreed.
	By, Second string
	// Gone says that the registry has the record no more.
	Gone bool
	// ProblemKey is the key of the sentence for the problem, "" if there is none.
	ProblemKey string
	// ReasonKey is that of the reason, "" if there is none.
	ReasonKey string
}

// nameView is a name with its language, if that is known, and direction.
type nameView struct{ Text, Lang string }

// queue lists a queue, what waits longest first.
func (c *Console) queue(w http.ResponseWriter, r *request) error {
	q := work.Queue(r.PathValue("queue"))
	if !slices.Contains(work.Queues(), q) {
		return errNotFound
	}
	after, err := r.query("after")
	if err != nil {
		return err
	}
	page, err := c.cfg.Work.Queue(r.Context(), r.Operator, q, readPlace(after))
	if err != nil {
		return workError(err)
	}
	data := queuePage{Queue: q, Next: place(page.Next)}
	if data.Queues, err = c.queueViews(r, q); err != nil {
		return err
	}
	for i := range page.Items {
		v, err := c.itemView(r, &page.Items[i])
		if err != nil {
			return err
		}
		data.Items = append(data.Items, v)
	}
	return c.render(w, r, http.StatusOK, "queue", data)
}

// place is where a page of a queue ends, for its address: a moment and the id of an
// item.
func place(i *work.Item) string {
	if i == nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(i.Changed.UnixMilli(), 10) + " " + i.ID))
}

// readPlace reads a place; one that is none is the beginning.
func readPlace(s string) *work.Item {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if s == "" || err != nil || len(b) > 100 {
		return nil
	}
	at, id, _ := strings.Cut(string(b), " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return nil
	}
	return &work.Item{ID: id, Changed: time.UnixMilli(ms).UTC()}
}

// itemView describes an item.
func (c *Console) itemView(r *request, i *work.Item) (itemView, error) {
	v := itemView{Item: *i, By: c.nameOf(r, i.Requester), Second: c.nameOf(r, i.Approver), ReasonKey: reasonOf(i.Reason)}
	if i.Problem != "" {
		v.ProblemKey = reasonKey(i.Problem)
	}
	f, err := c.cfg.Work.Describe(r.Context(), r.Operator, i)
	switch {
	case errors.Is(err, work.ErrNoRecord):
		v.Gone = true
		return v, nil
	case err != nil:
		return v, workError(err)
	}
	v.Names, v.Born, v.Title, v.Ref = names(f), born(r, f), r.Lang.Pick(f.Programme.Labels), f.Ref
	return v, nil
}

// nameOf is the name of a colleague; "" for nobody, the id for one who is not known any
// more.
func (c *Console) nameOf(r *request, id string) string {
	if id == "" || id == work.System {
		return ""
	}
	op, err := c.cfg.Desk.Operator(r.Context(), id)
	if err != nil || op.Name == "" {
		return id
	}
	return op.Name
}

// itemPage is what page/item.html shows.
type itemPage struct {
	Item  itemView
	Case  *caseView
	Sheet *sheetView
	// Changed says that the record is no longer what was asked for, Past that it, or the
	// programme, is no longer what it was when the item was signed.
	Changed, Past bool
	// Own says that the operator asked for it.
	Own bool
	// Left is the time until a change is made, Seconds the same for the script that
	// counts down; Again is when the page is loaded anew, to say what came of it.
	Left           string
	Seconds, Again int
	// Refused is why the record cannot be issued for any more.
	Refused string
	Lines   []lineView
	Wallets []option
}

// item shows one item with everything that can be done about it.
func (c *Console) item(w http.ResponseWriter, r *request) error {
	i, err := c.cfg.Work.Item(r.Context(), r.Operator, r.PathValue("id"))
	if err != nil {
		return workError(err)
	}
	return c.drawItem(w, r, i, nil)
}

func (c *Console) drawItem(w http.ResponseWriter, r *request, i work.Item, f *form) error {
	ctx := r.Context()
	v, err := c.itemView(r, &i)
	if err != nil {
		return err
	}
	data := itemPage{Item: v, Own: i.Requester == r.Operator.ID}
	if !v.Gone {
		cs, err := c.cfg.Work.Case(ctx, r.Operator, v.Ref)
		if err != nil {
			return workError(err)
		}
		if data.Lines, err = c.lines(r, cs); err != nil {
			return err
		}
		data.Case = c.caseView(r, cs)
		for _, form := range cs.Programme.Forms {
			if form.Wallet() {
				data.Wallets = append(data.Wallets, option{Value: form.Name, Label: formName(r.Lang, form.Name)})
			}
		}
		if i.Kind.Signs() && i.State.Open() {
			s, err := c.cfg.Work.Sheet(ctx, r.Operator, &i)
			refused, isRefused := errors.AsType[*issuance.RecordError](err)
			signed := i.State == work.Signed
			switch {
			case signed && (isRefused || err == nil && s.Shown != i.Shown):
				data.Past = true
			case isRefused:
				data.Refused = reasonKey(refused.Code())
			case err != nil:
				return workError(err)
			default:
				data.Changed = i.State == work.Waiting && s.Shown != i.Shown
				if data.Sheet, err = c.sheetView(r, s); err != nil {
					return err
				}
				if signed {
					data.Sheet.sign(cs, i.Made)
				}
			}
		}
	}
	if i.State == work.Agreed && !i.Kind.Signs() {
		left := max(i.Due.Sub(c.now()), 0)
		data.Left, data.Seconds = r.Lang.Digits(leftText(left)), int(left/time.Second)
		data.Again = data.Seconds + again
	}
	return c.renderForm(w, r, http.StatusOK, "item", f, data)
}

// again is after how many seconds a page without scripts that changes by itself is
// loaded anew.
const again = 5

// leftText is a time as minutes and seconds, never less than nothing.
func leftText(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	s := int(d / time.Second)
	return strconv.Itoa(s/60) + ":" + strconv.Itoa(100 + s%60)[1:]
}

// itemDeed is a form about an item that ends in a page about it.
func (c *Console) itemDeed(w http.ResponseWriter, r *request, notice string, do func(ctx context.Context, id string) (work.Item, error)) error {
	i, err := do(r.Context(), r.PathValue("id"))
	if err != nil {
		return workError(err)
	}
	return c.seeOther(w, r, "/items/"+i.ID, notice)
}

// approve agrees to what was shown, and has it done at once.
func (c *Console) approve(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	shown, ok := readDigest(f.Get("shown"))
	if !ok {
		return work.ErrChanged
	}
	return c.itemDeed(w, r, "work.notice.approved", func(ctx context.Context, id string) (work.Item, error) {
		i, err := c.cfg.Work.Approve(ctx, r.Operator, id, shown)
		if err != nil {
			return i, err
		}
		return c.runNow(r, i)
	})
}

// runNow does an item that is due without waiting for whoever does what is due. What
// stands in the way then stands in the item, and is tried again.
func (c *Console) runNow(r *request, i work.Item) (work.Item, error) {
	done, err := c.cfg.Work.Run(r.Context(), i.ID)
	if err != nil {
		c.cfg.Log.WarnContext(r.Context(), "an item is left for later", "item", i.ID, "err", err)
		return i, nil
	}
	return done, nil
}

func (c *Console) sendBack(w http.ResponseWriter, r *request) error {
	return c.decline(w, r, "work.notice.returned", c.cfg.Work.Return)
}

func (c *Console) turnDown(w http.ResponseWriter, r *request) error {
	return c.decline(w, r, "work.notice.refused", c.cfg.Work.Refuse)
}

func (c *Console) decline(w http.ResponseWriter, r *request, notice string, do func(context.Context, staff.Operator, string, string) (work.Item, error)) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if comment := f.text("comment", work.MaxComment); f.OK() {
		i, err := do(r.Context(), r.Operator, id, comment)
		switch {
		case errors.Is(err, work.ErrComment):
			f.fail("comment", "work.comment.bad")
		case err != nil:
			return workError(err)
		default:
			return c.seeOther(w, r, "/items/"+i.ID, notice)
		}
	}
	i, err := c.cfg.Work.Item(r.Context(), r.Operator, id)
	if err != nil {
		return workError(err)
	}
	return c.drawItem(w, r, i, f)
}

func (c *Console) withdraw(w http.ResponseWriter, r *request) error {
	return c.itemDeed(w, r, "work.notice.withdrawn", func(ctx context.Context, id string) (work.Item, error) {
		return c.cfg.Work.Withdraw(ctx, r.Operator, id)
	})
}

// issue tries again what was agreed to and could not be done.
func (c *Console) issue(w http.ResponseWriter, r *request) error {
	return c.itemDeed(w, r, "", func(ctx context.Context, id string) (work.Item, error) {
		i, err := c.cfg.Work.Item(ctx, r.Operator, id)
		if err != nil {
			return i, err
		}
		if i.State != work.Agreed || !i.Kind.Signs() {
			return i, work.ErrState
		}
		return c.runNow(r, i)
	})
}

func (c *Console) recheck(w http.ResponseWriter, r *request) error {
	return c.itemDeed(w, r, "", func(ctx context.Context, id string) (work.Item, error) {
		return c.cfg.Work.Recheck(ctx, r.Operator, id)
	})
}

func (c *Console) printed(w http.ResponseWriter, r *request) error {
	return c.itemDeed(w, r, "work.notice.printed", func(ctx context.Context, id string) (work.Item, error) {
		return c.cfg.Work.Printed(ctx, r.Operator, id)
	})
}

func (c *Console) undo(w http.ResponseWriter, r *request) error {
	return c.itemDeed(w, r, "work.notice.undone", func(ctx context.Context, id string) (work.Item, error) {
		return c.cfg.Work.Undo(ctx, r.Operator, id)
	})
}

func (c *Console) hurry(w http.ResponseWriter, r *request) error {
	return c.itemDeed(w, r, "work.notice.hurried", func(ctx context.Context, id string) (work.Item, error) {
		i, err := c.cfg.Work.Hurry(ctx, r.Operator, id)
		if err != nil {
			return i, err
		}
		return c.runNow(r, i)
	})
}

// offerItem hands out an offer for what an item has made.
func (c *Console) offerItem(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	o, err := c.cfg.Work.Offer(r.Context(), r.Operator, id, f.Get("form"), f.Get("code") != "")
	if err != nil {
		return workError(err)
	}
	return c.drawOffer(w, r, o, "/items/"+id)
}

// readDigest reads the SHA-256 of what was shown.
func readDigest(s string) (d [32]byte, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(d) {
		return d, false
	}
	copy(d[:], b)
	return d, true
}
