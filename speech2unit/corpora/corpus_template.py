"""The corpus page as a Jinja template. What it shows is the dict that `render_corpus.page_content` returns, and
the styles of `evaluation.pages.CSS`.

The page needs nothing but itself: styles and recordings are inside, and there are no scripts.
"""

TEMPLATE = """\
{% macro number(value) %}{{ "{:,}".format(value) }}{% endmacro -%}

{% macro split_table(part, caption, first, what) -%}
<div class="wide" role="region" aria-label="{{ caption }}" tabindex="0">
<table>
<caption>{{ caption }}</caption>
<thead><tr><th scope="col">{{ first }}</th>
{%- for split in splits %}<th scope="col"><span class="key {{ split }}" aria-hidden="true"></span>{{ split }}</th>{% endfor -%}
<th scope="col" class="bars">{{ what }}</th></tr></thead>
<tbody>
{% for row in part.rows %}<tr><th scope="row"><bdi>{{ row.name }}</bdi></th>
{%- for split in splits %}<td>{{ number(row.counts.get(split, 0)) }}</td>{% endfor -%}
<td class="bars"><span class="stack" aria-hidden="true">
{%- for split in splits %}{% if row.counts.get(split) %}<span class="{{ split }}" style="width:{{ "%.2f"|format(100 * row.counts[split] / part.largest) }}%"></span>{% endif %}{% endfor -%}
</span></td></tr>
{% endfor %}</tbody>
</table>
</div>
{%- if part.left_out %}
<p class="more">{{ part.left_out }}</p>
{%- endif %}
{%- endmacro -%}

<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Corpus {{ corpus }}</title>
<style>
{{ css }}nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; list-style: none }
nav a { display: inline-block; padding: .3rem 0 }
.remarks { padding: .7rem 1rem .7rem 2rem; border-left: 4px solid var(--warn); border-radius: 4px; background: var(--panel) }
.fine { padding: .7rem 1rem; border-left: 4px solid var(--test); border-radius: 4px; background: var(--panel) }
dt { font-weight: 700; overflow-wrap: anywhere } dd { margin: 0 0 .6rem; overflow-wrap: anywhere }
li { overflow-wrap: anywhere }
.bars { width: 40%; min-width: 4rem; text-align: left; padding-right: 0 }
.stack { display: flex; height: .9rem; margin-top: .3rem }
.train { background: var(--train) } .dev { background: var(--dev) } .test { background: var(--test) }
.key { display: inline-block; width: .7rem; height: .7rem; margin-right: .3rem; border-radius: 2px }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .8rem; padding: 0; list-style: none }
.clips li { padding: .7rem .9rem; border: 1px solid var(--line); border-radius: 8px }
.clips b { font-size: 1.1rem }
.clips p { margin: 0; font-size: .9rem; color: var(--quiet); overflow-wrap: anywhere }
audio { display: block; width: 100%; margin-top: .5rem }
@media (max-width: 30rem) { body { padding: .6rem .8rem 2rem } th, td { padding-right: .45rem; font-size: .9rem } .bars { width: 25% } }
</style>
</head>
<body>
<header>
<h1>Corpus <bdi>{{ corpus }}</bdi></h1>
<p>{{ summary }}. Recordings below <bdi>{{ root }}</bdi>, as the manifest lists them; copies at other speeds are left out.</p>
</header>
<nav aria-label="Parts of this page"><ul>
{% for id, title in parts %}<li><a href="#{{ id }}">{{ title }}</a></li>
{% endfor %}</ul></nav>
<main>
<h2 id="remarks">What to look at</h2>
{% if remarks %}<ul class="remarks">
{% for remark in remarks %}<li>{{ remark }}</li>
{% endfor %}</ul>
{% else %}<p class="fine">Nothing is odd.</p>
{% endif %}
<h2 id="splits">Splits</h2>
<div class="wide" role="region" aria-label="Splits" tabindex="0">
<table>
<thead><tr><th scope="col">split</th><th scope="col">clips</th><th scope="col">speakers</th>
{%- for name in label_columns %}<th scope="col">labels{% if label_columns|length > 1 %} of <bdi>{{ name }}</bdi>{% endif %}</th>{% endfor -%}
<th scope="col">speech</th></tr></thead>
<tbody>
{% for size in sizes %}<tr><th scope="row">{% if size.split %}<span class="key {{ size.split }}" aria-hidden="true"></span>{{ size.split }}{% else %}all{% endif %}</th>
<td>{{ number(size.num_clips) }}</td><td>{{ number(size.num_speakers) if size.num_speakers else "unknown" }}</td>
{%- for name in label_columns %}<td>{{ number(size.num_labels.get(name, 0)) }}</td>{% endfor -%}
<td>{{ size.duration }}</td></tr>
{% endfor %}</tbody>
</table>
</div>
{% if classes %}
<h2 id="classes">Classes</h2>
{% for name, part in classes.items() %}{{ split_table(part, part.caption, name, part.counted) }}
{% endfor %}{% endif %}
{% if speakers.rows %}
<h2 id="speakers">Speakers</h2>
{{ split_table(speakers, "Clips of each speaker, those with most clips first", "speaker", "clips") }}
{% endif %}
<h2 id="durations">Durations</h2>
<p>{{ durations_summary }}</p>
{{ split_table(durations, "Clips of each duration; the steps grow with the duration (logarithmic)", "duration", "clips") }}
<p>{{ formats }}</p>
<h2 id="rejected">Rejected files</h2>
{% if rejected %}
<p>{{ rejected_summary }}</p>
{% for reason in rejected %}<details{% if loop.first %} open{% endif %}>
<summary>{{ number(reason.count) }} {{ reason.name }}: {{ reason.rule }}</summary>
<dl>
{% for row in reason.rows %}<dt><bdi>{{ row.path }}</bdi></dt><dd>{{ row.detail }}</dd>
{% endfor %}</dl>
{% if reason.left_out %}<p class="more">{{ reason.left_out }}</p>{% endif %}
</details>
{% endfor %}
{% else %}<p class="fine">Every file is usable.</p>
{% endif %}
<h2 id="equal">Equal recordings</h2>
{% if equal %}
<p>{{ equal_summary }}</p>
<ul>
{% for group in equal %}<li>{% for row in group %}{% if not loop.first %} = {% endif %}<bdi>{{ row.path }}</bdi> ({{ row.split }}
{%- if row.labels %}, <bdi>{{ row.labels|join(" ") }}</bdi>{% endif %}){% endfor %}</li>
{% endfor %}</ul>
{% if equal_left_out %}<p class="more">{{ equal_left_out }}</p>{% endif %}
{% else %}<p class="fine">All recordings differ.</p>
{% endif %}
<h2 id="clips">Listen</h2>
<p>{{ clips_summary }}</p>
<ul class="clips">
{% for clip in clips %}<li><b><bdi>{{ clip.labels or clip.name }}</bdi></b>
<p>{% if clip.speaker %}<bdi>{{ clip.speaker }}</bdi>, {% endif %}{{ clip.split }}, {{ clip.duration }}: <bdi>{{ clip.path }}</bdi></p>
<audio controls preload="metadata" aria-label="{{ clip.path }}" src="data:audio/flac;base64,{{ clip.audio }}"></audio></li>
{% endfor %}</ul>
</main>
</body>
</html>
"""
