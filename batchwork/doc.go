// Package batchwork is a batch as the people of an office see it: a file that was
// uploaded or a source that was picked, tried in a dry run, approved by a second person,
// and then issued in the background, where it can be paused, resumed and cancelled. A
// revocation of many certificates goes the same way ([Revocation]), and what was issued can be
// printed as one file ([Print]).
//
// Start with [Job], whose state moves by the table of this package only ([Job.Do]), and
// [Runner], which does the work: any number of processes may run one on the same
// [Store], and after a crash any of them goes on. Issuing itself is
// issuance.Service.RunBatch, which is what is never done twice; a lease of this
// package only keeps two processes from starting the same thing at once. Where the
// database is PostgreSQL all processes take part in one batch, each in a folder of its
// own, and issuance and its queue hand out the chunks.
//
// What people uploaded and what was made of it lie in one private folder, a folder for
// each job ([Folder]), and are erased after a time. With several processes it must be
// one that all of them see.
//
// Left to others: who may do what and approvals (staff), reading files and tables
// (registry/csvfile, registry/sqltable), pages (web/console), where jobs are kept
// (store/desk).
//
// A job names no person: operators by their pseudonymous ids, and nothing of a record
// but numbers. The name of an uploaded file is kept until the file is erased.
package batchwork
