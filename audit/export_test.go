package audit

import "time"

// What tests of the journal reach behind its doors for.

type JournalFile = journalFile

func OpenJournalWith(dir string, patience time.Duration, open func(path string) (JournalFile, error)) (*Journal, error) {
	j, err := openJournal(dir, open)
	if err == nil {
		j.patience = patience
	}
	return j, err
}

var ParsePosition = func(b []byte) (again []byte, err error) {
	p, err := parsePosition(b)
	return p.record(0), err
}

const SlotSize = slotSize
