from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("calculations", "0020_move_announcement")]

    operations = [
        migrations.RemoveField(
            model_name='labsettings',
            name='announcement',
        ),
    ]
