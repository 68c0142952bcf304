from django.db import migrations, models

import calculations.models.words

MARKS = "._-/,;:+*=()[]{}<>|'\"\\&!?#@%^~$°·–—−…“”„"
FUNCTION = f"""
CREATE FUNCTION search_words(name text, description text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $words$
    SELECT to_tsvector('pg_catalog.simple'::regconfig, translate(
        coalesce(name, '') || ' ' || coalesce(description, ''),
        $marks${MARKS}$marks$, $marks${" " * len(MARKS)}$marks$))
$words$
"""


def words() -> models.Expression:
    return calculations.models.words.Words(models.F("name"), models.F("description"))


class Migration(migrations.Migration):
    dependencies = [("calculations", "0012_sweep_axes")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION search_words(text, text)"),
        migrations.AddIndex(
            model_name="calculation",
            index=calculations.models.words.GinIndex(words(), name="calculation_words"),
        ),
        migrations.AddIndex(
            model_name="structure",
            index=calculations.models.words.GinIndex(words(), name="structure_words"),
        ),
    ]
