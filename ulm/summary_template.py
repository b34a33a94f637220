"""The page of a comparison as a Jinja template. What it shows is the dict that `render_summary.page_content` returns."""

CSS = """\
.chart { margin: 1rem 0; padding: 0 }
.chart h2 { margin-bottom: .2rem }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin: .3rem 0 .6rem; padding: 0; list-style: none; color: var(--quiet) }
.legend .mark { position: relative; display: inline-block; width: 1.6rem; height: .9rem; margin-right: .4rem; vertical-align: middle }
.task, .axis { display: grid; grid-template-columns: minmax(6rem, 12rem) 1fr 4.2rem; gap: 0 .8rem; align-items: center; padding: .3rem 0 }
.task { border-bottom: 1px solid var(--line) }
.task .name { font-weight: 700; overflow-wrap: anywhere }
.task .number { text-align: right; font-variant-numeric: tabular-nums }
.track { position: relative; height: 1.5rem; background: repeating-linear-gradient(to right, var(--line) 0 1px, transparent 1px 20%) }
.track::after { content: ""; position: absolute; inset: 0 0 0 auto; width: 1px; background: var(--line) }
.track span, .mark span { position: absolute; top: 50%; transform: translate(-50%, -50%) }
.track .interval, .mark .interval { height: .35rem; border-radius: .2rem; background: var(--train); opacity: .55; transform: translateY(-50%);
  min-width: 2px }
.value { width: .8rem; height: .8rem; border-radius: 50%; background: var(--train) }
.ngram { width: .8rem; height: .8rem; border: 2px solid var(--warn); background: transparent }
.track .ngram, .mark .ngram { transform: translate(-50%, -50%) rotate(45deg) }
.majority { width: 3px; height: 1.2rem; background: var(--quiet) }
.axis { padding: 0; color: var(--quiet); font-size: .85rem }
.axis .ticks { position: relative; height: 1.3rem }
.axis .ticks span { position: absolute; transform: translateX(-50%); white-space: nowrap }
.axis .ticks span:first-child { transform: none } .axis .ticks span:last-child { transform: translateX(-100%) }
@media (max-width: 44rem) { body { padding: .6rem 1rem 2rem } .task, .axis { grid-template-columns: 1fr auto }
  .task .track, .axis .ticks { grid-column: 1 / 3 } .task .number { grid-row: 1; grid-column: 2 } .axis i { display: none } }
"""

BODY = """\
<p>{{ about }}</p>
{% for chart in charts %}
<section class="chart">
<h2>{{ chart.metric }}, {{ chart.direction }}</h2>
{% if loop.first %}<ul class="legend">
<li><span class="mark" aria-hidden="true"><span class="interval" style="left:0;width:100%"></span><span class="value" style="left:50%"></span></span>task, with its 95 % interval</li>
<li><span class="mark" aria-hidden="true"><span class="ngram" style="left:50%"></span></span>n-gram baseline on the same units</li>
<li><span class="mark" aria-hidden="true"><span class="majority" style="left:50%"></span></span>majority baseline</li>
</ul>{% endif %}
{% for task in chart.tasks %}<div class="task"><span class="name"><bdi>{{ task.name }}</bdi></span>
<div class="track" role="img" aria-label="{{ task.in_words }}"><span class="majority" style="left:{{ task.majority }}%"></span>
<span class="interval" style="left:{{ task.low }}%;width:{{ task.width }}%"></span>
<span class="value" style="left:{{ task.value }}%"></span><span class="ngram" style="left:{{ task.ngram }}%"></span></div>
<span class="number">{{ task.text }}</span></div>
{% endfor %}<div class="axis" aria-hidden="true"><i></i><div class="ticks">
{%- for tick in chart.ticks %}<span style="left:{{ tick.position }}%">{{ tick.text }}</span>{% endfor -%}
</div></div>
</section>
{% endfor %}
<h2>Numbers</h2>
{{ main_table }}
<p class="more">Mean over the seeds, on the test split. Interval: Wilson's for the accuracy, else a bootstrap over test rows; it says how far
another test set of this size could move the value, not what another training would give. If the n-gram baseline is as good as a task,
the prompt shows no use of the unit language model.</p>
<p>Do two tasks differ by more than chance? <code>snakemake --cores all {{ folder }}/differences.parquet</code></p>
<details>
<summary>All columns</summary>
{{ whole_table }}
<p class="more">Accuracy counts the rows whose labels are all right. Free decoding may output any units; outputs that are no legal answer
count as wrong.</p>
</details>
"""
