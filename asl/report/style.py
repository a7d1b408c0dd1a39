"""The look of the pages: one style sheet, light and dark by the reader's own setting."""

_LIGHT = (
    "--paper:#fbfbfa;--card:#fff;--ink:#1c1e23;--soft:#5d6472;--line:#e0e2e7;--fill:#f1f3f7;--mark:#1f5fc4;--bad:#c2410c;"
    "--s0:#2563c9;--s1:#d1495b;--s2:#1f8a5f;--s3:#b7791f;--s4:#7b4bc4;--s5:#0e7c86;--s6:#a23b72;--s7:#5b6472"
)
_DARK = (
    "--paper:#131518;--card:#1a1d22;--ink:#e8eaee;--soft:#9ba2ae;--line:#2d323a;--fill:#20242b;--mark:#7fadf7;--bad:#f59e6c;"
    "--s0:#7fadf7;--s1:#f08f9b;--s2:#62cfa1;--s3:#e3b65e;--s4:#ba9cf0;--s5:#57c8ca;--s6:#df8dba;--s7:#aab3c0"
)
_PAGE = """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 22px 72px}
h1{font-size:26px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:18px;margin:44px 0 6px;padding-top:22px;border-top:1px solid var(--line)}
p{margin:6px 0 12px;max-width:78ch}.lead,.note,small{color:var(--soft)}.note{font-size:13px}
small{display:block;font-size:11.5px;font-weight:400}.lead b{color:var(--ink)}
.advice{background:var(--fill);border-left:3px solid var(--mark);padding:10px 14px;
border-radius:0 6px 6px 0;margin:16px 0}
"""
_TABLES = """
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 10px;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
thead th{font-size:12px;color:var(--soft);font-weight:500;white-space:nowrap}
th:first-child,td:first-child{text-align:left;white-space:nowrap}tbody th{font-weight:600}
tr.chosen{background:var(--fill)}tr.chosen th{color:var(--mark)}tr.chosen th::after{content:" ●";font-size:10px}
.head td{min-width:92px}.none{color:var(--soft)}td.better{color:var(--s2)}td.worse{color:var(--bad)}
td.unsure{color:var(--soft)}
.bar{display:block}.bar b{font-weight:600}.bar>span{display:block;position:relative;height:5px;margin-top:3px;
border-radius:3px;background:var(--line)}.bar i{position:absolute;inset:0 auto 0 0;background:var(--mark);
border-radius:3px}
.bar u{position:absolute;top:-2px;bottom:-2px;border:1px solid var(--ink);border-width:0 1px;opacity:.55}
.bar u::after{content:"";position:absolute;left:0;right:0;top:50%;border-top:1px solid var(--ink)}
.tight th,.tight td{padding:3px 10px}.tight .bar{display:grid;grid-template-columns:1fr 46px;align-items:center;gap:8px}
.bar s{position:absolute;top:-3px;bottom:-3px;
border-left:2px solid var(--ink);opacity:.6}
.tight .bar b{order:2;font-weight:500}.tight .bar>span{margin:0}.tight td{min-width:96px}
.tight td:nth-child(2){min-width:0}
.worse i{background:var(--bad)}
"""
_PLOTS = """
svg{width:100%;max-width:860px;display:block;overflow:visible}
.columns{display:grid;gap:28px;
grid-template-columns:repeat(2,minmax(0,1fr))}
.columns section:empty{display:none}.columns p{min-height:58px}
@media (max-width:760px){.columns{grid-template-columns:1fr}}
polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}polyline.strong{stroke-width:3.2}
polygon.area,rect.area{fill-opacity:.16;stroke-width:1.5}.row line{stroke-width:1.5}.row line.strong{stroke-width:3}
.grid{stroke:var(--line)}.level{stroke:var(--soft);stroke-dasharray:4 4}circle{stroke:var(--paper);stroke-width:1.5}
.tick{font-size:11px;fill:var(--soft)}.label{font-size:12px;fill:var(--soft)}.name{font-size:12.5px;fill:var(--ink)}
.legend{display:flex;gap:4px 18px;flex-wrap:wrap;margin:8px 0 0 50px;font-size:13px}
.key{display:flex;align-items:center;gap:7px}.key i{width:16px;height:4px;border-radius:2px}
"""
_GALLERY = """
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(318px,1fr));gap:16px}
figure{margin:0;border:1px solid var(--line);border-radius:8px;background:var(--card);overflow:hidden}
.pair{display:grid;grid-template-columns:minmax(0,1fr) 22px minmax(0,1fr);align-items:center;padding:10px 10px 4px}
.pair>span{text-align:center;font-size:18px;color:var(--mark)}.pair small{overflow:hidden;
text-overflow:ellipsis;margin-top:4px}
.frame{height:150px;display:flex;align-items:center;justify-content:center;background:var(--fill);border-radius:4px}
.frame img{max-width:100%;max-height:150px;border-radius:3px;display:block}.frame i{color:var(--soft);font-size:12px}
figcaption{font-size:12.5px;padding:6px 12px 10px;border-top:1px solid var(--line)}figcaption p{margin:0 0 4px}
mark{background:var(--fill);color:var(--mark);padding:1px 6px;border-radius:9px;margin-right:6px;font-size:11.5px}
mark:empty{display:none}dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;font-size:13px;margin:0}
.scores{display:flex;flex-wrap:wrap;gap:0 14px;color:var(--soft);font-variant-numeric:tabular-nums}
.scores b{color:var(--ink);font-weight:500}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
dl.facts dd{font-family:ui-monospace,SFMono-Regular,Menlo,monospace;font-size:12px}
@media print{figure,svg{break-inside:avoid}body{background:#fff}}
"""
_COLOURS = "".join(
    f".c{n}{{stroke:var(--s{n})}}.area.c{n}{{fill:var(--s{n})}}.b{n}{{background:var(--s{n});fill:var(--s{n})}}"
    for n in range(8)
)
STYLE = (
    f":root{{{_LIGHT};color-scheme:light dark}}@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    + (_PAGE + _TABLES + _PLOTS + _GALLERY).replace("\n", "")
    + _COLOURS
)
