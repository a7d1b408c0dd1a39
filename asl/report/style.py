"""The look of the pages: one style sheet, light and dark by the reader's own setting."""

STYLE = """
:root{--paper:#fff;--ink:#1b1d22;--soft:#667;--line:#dde0e6;--fill:#eef1f6;--mark:#2563c9;
--s0:#2563c9;--s1:#d1495b;--s2:#2a9d6f;--s3:#b7791f;--s4:#7b4bc4;
--s5:#0f8b8d;--s6:#a23b72;--s7:#5b6472;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--paper:#14161a;--ink:#e7e9ee;--soft:#9aa1ad;--line:#2c3038;--fill:#20242b;
--mark:#79a8f5;--s0:#79a8f5;--s1:#ef8c98;--s2:#63cfa2;--s3:#e2b35c;--s4:#b798ee;
--s5:#56c7c9;--s6:#dd8ab8;--s7:#a9b2bf}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 60px}h1{font-size:26px;margin:0 0 4px}
h2{font-size:18px;margin:38px 0 8px;border-top:1px solid var(--line);padding-top:20px}
.lead{color:var(--soft);margin:0 0 18px}.note,small{color:var(--soft)}small{display:block;font-size:12px}
table{border-collapse:collapse;width:100%}th,td{padding:6px 10px;border-bottom:1px solid var(--line);text-align:right;
vertical-align:top;font-variant-numeric:tabular-nums}th:first-child{text-align:left}
tr.best th:first-child{color:var(--mark)}
tr.best{background:var(--fill)}.bar{position:relative;display:block;min-width:84px;height:20px}
.bar i{position:absolute;inset:0 auto 0 0;background:var(--mark);opacity:.22;border-radius:3px}
.bar b{position:relative;font-weight:600;padding-right:4px}.none{color:var(--soft)}
svg{width:100%;max-width:680px;display:block}svg polyline{fill:none;stroke-width:2.2}
svg polygon.area{fill-opacity:.18;stroke-width:1.6}.grid{stroke:var(--line)}.tick{font-size:11px;fill:var(--soft)}
.label{font-size:12px;fill:var(--soft)}.legend{display:flex;gap:16px;flex-wrap:wrap;margin:6px 0 0 52px}
.key{display:flex;align-items:center;gap:6px}.key i{width:14px;height:4px;border-radius:2px;display:inline-block}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:16px}
figure{margin:0;border:1px solid var(--line);border-radius:8px;padding:10px;background:var(--fill)}
.pair{display:flex;align-items:center;gap:8px;justify-content:space-between}.pair>div{width:46%}
.pair img{width:100%;max-height:170px;object-fit:contain;border-radius:4px;background:var(--paper)}
.pair>span{font-size:20px;color:var(--mark)}figcaption{font-size:13px;margin-top:6px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 16px;font-size:13px}dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere;font-family:ui-monospace,monospace}
""" + "".join(
    f".c{n}{{stroke:var(--s{n})}}polygon.c{n}{{fill:var(--s{n})}}.b{n}{{background:var(--s{n})}}" for n in range(8)
)
