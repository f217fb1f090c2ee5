#!/usr/bin/env bash
# Makes the fonts of printed certificates (internal/docpdf/fonts) from the Debian
# packages fonts-noto-core and python3-fonttools: without hinting, which no printer
# needs, and without the scripts and figures that certificates do not have. The result
# is committed, so that nobody needs the packages to build. See docs/decisions/0031.
set -euo pipefail
cd "$(dirname "$0")/.."
noto=/usr/share/fonts/truetype/noto
out=internal/docpdf/fonts
# What every font has of its own, so that spaces and punctuation do not change face.
common=U+0020-007E,U+00A0,U+00AB,U+00BB,U+2010-2015,U+2018-201F,U+2026,U+25CC,U+200B-200F

subset() { # NAME SOURCE UNICODES
  /usr/bin/python3 -m fontTools.subset "$noto/$2.ttf" --output-file="$out/$1.ttf" --unicodes="$3" --no-hinting \
    --layout-features-=smcp,c2sc,subs,sups,frac,numr,dnom,ordn,sinf,titl,onum,lnum,pnum,tnum,case,zero \
    --notdef-outline --recommended-glyphs --name-IDs=0,1,2,4,5,6,13,14 --drop-tables+=DSIG,meta
}

subset sans NotoSans-Regular "U+0020-007E,U+00A0-024F,U+0259,U+02B0-02FF,U+0300-0345,U+0357-0359,U+0384-03CE,U+0400-045F,U+0490-04FF,U+1E00-1EF9,U+2000-206F,U+20A0-20BF,U+2116,U+2122,U+2190-2193,U+2212,U+25A1,U+25CC,U+FFFD"
subset bengali NotoSansBengali-Regular "$common,U+0964-0965,U+0980-09FF"
subset arabic NotoSansArabic-Regular "$common,U+0600-06FF,U+0750-077F,U+08A0-08FF,U+FD3E-FD3F,U+FDF2,U+FDFC"
subset devanagari NotoSansDevanagari-Regular "$common,U+0900-097F,U+1CD0-1CFF,U+A8E0-A8FF,U+20B9"
subset khmer NotoSansKhmer-Regular "$common,U+1780-17FF,U+19E0-19FF"
subset lao NotoSansLao-Regular "$common,U+0E80-0EFF,U+0E3F"
subset ethiopic NotoSansEthiopic-Regular "$common,U+1200-1399,U+2D80-2DDF,U+AB01-AB2F"
# Their licence stands in OFL.txt, which is kept by hand.
ls -l "$out"
