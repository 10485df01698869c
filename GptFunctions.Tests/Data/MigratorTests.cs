using GptFunctions.Data;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Data;

/// <summary>data.md 1 to 3: migrations are applied by a command, in order, under a lock, and never change once applied.</summary>
public sealed class MigratorTests : IAsyncLifetime
{
    private static readonly Migration First = new(1, "Things", "CREATE TABLE things (id int PRIMARY KEY)", "a");
    private static readonly Migration Second = new(2, "More", "INSERT INTO things VALUES (1)", "b");
    private TestDatabase database = null!;

    public async Task InitializeAsync() => database = await TestDatabase.CreateAsync(nameof(MigratorTests), isMigrated: false);

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Apply_on_an_empty_database_applies_all_in_order_and_then_nothing()
    {
        Assert.Equal(0, await MigratorOf(First, Second).ReadVersionAsync(default));
        Assert.Equal([First, Second], await ApplyAsync(First, Second));
        Assert.Empty(await ApplyAsync(First, Second));
        Assert.Equal(2, await MigratorOf(First, Second).ReadVersionAsync(default));
        Assert.Equal(
            "1 Things a, 2 More b",
            await database.ScalarAsync<string>("SELECT string_agg(version || ' ' || name || ' ' || checksum, ', ' ORDER BY version) FROM schema_migrations"));
    }

    [Fact]
    public async Task Apply_of_the_programs_own_migrations_twice_changes_nothing_the_second_time()
    {
        var migrator = MigratorOf([.. Migrator.Embedded]);
        Assert.Equal(Migrator.Embedded, await migrator.ApplyAsync(default));
        Assert.Empty(await migrator.ApplyAsync(default));
        Assert.Equal(migrator.LatestVersion, await migrator.ReadVersionAsync(default));
        Assert.Equal(Migrator.Embedded.Select(migration => migration.Version).Distinct().Order(), Migrator.Embedded.Select(migration => migration.Version));
    }

    [Fact]
    public async Task Apply_by_eight_at_once_applies_each_migration_once()
    {
        Migration[] slow = [First with { Sql = First.Sql + "; SELECT pg_sleep(0.1)" }, Second];
        var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => ApplyAsync(slow)));
        Assert.Equal(slow, results.SelectMany(applied => applied).OrderBy(migration => migration.Version));
        Assert.Equal(1, await database.CountAsync("things"));
    }

    [Fact]
    public async Task Apply_leaves_no_lock_behind()
    {
        await ApplyAsync(First);
        Assert.Equal(
            0,
            await database.CountAsync("pg_locks", "locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"));
    }

    [Fact]
    public async Task Apply_of_a_migration_whose_text_has_changed_stops_and_names_it()
    {
        await ApplyAsync(First);
        var error = await Assert.ThrowsAsync<MigrationException>(() => ApplyAsync(First with { Checksum = "changed" }, Second));
        Assert.StartsWith("Migration V001_Things was applied with another text.", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, await database.CountAsync("things"));
    }

    /// <summary>What a rollback needs: the image before runs on the schema of the image after.</summary>
    [Fact]
    public async Task Apply_on_a_newer_database_changes_nothing()
    {
        await ApplyAsync(First, Second);
        Assert.Empty(await ApplyAsync(First));
        Assert.Equal(2, await MigratorOf(First).ReadVersionAsync(default));
    }

    [Fact]
    public async Task Apply_on_a_newer_database_that_lacks_a_migration_stops_and_names_it()
    {
        await ApplyAsync(First, new Migration(3, "Third", "CREATE TABLE third ()", "c"));
        var error = await Assert.ThrowsAsync<MigrationException>(() => ApplyAsync(First, Second));
        Assert.Equal("The database is newer than this program and lacks its migration V002_More: deploy an image that has both.", error.Message);
        Assert.Equal(0, await database.CountAsync("things"));
    }

    [Fact]
    public async Task Apply_on_a_database_with_an_unknown_migration_between_stops_and_names_it()
    {
        var third = new Migration(3, "Third", "CREATE TABLE third ()", "c");
        await ApplyAsync(First, Second, third);
        var error = await Assert.ThrowsAsync<MigrationException>(() => ApplyAsync(First, third));
        Assert.Equal("The database has a migration V002 that this program does not know, though it knows V003: deploy an image that has both.", error.Message);
    }

    [Fact]
    public async Task Apply_on_a_newer_database_with_a_changed_text_stops()
    {
        await ApplyAsync(First, Second);
        await Assert.ThrowsAsync<MigrationException>(() => ApplyAsync(First with { Checksum = "changed" }));
    }

    [Fact]
    public async Task Apply_of_a_script_that_fails_rolls_it_back_names_it_and_can_be_repeated()
    {
        var broken = Second with { Sql = "INSERT INTO things VALUES (7); INSERT INTO nothing VALUES (1)" };
        var error = await Assert.ThrowsAsync<MigrationException>(() => ApplyAsync(First, broken));
        Assert.Equal("Migration V002_More failed and was rolled back: relation \"nothing\" does not exist (42P01).", error.Message);
        Assert.Equal(0, await database.CountAsync("things"));
        Assert.Equal([Second], await ApplyAsync(First, Second));
    }

    [Fact]
    public async Task Apply_of_a_migration_that_was_merged_late_fills_the_gap()
    {
        var third = new Migration(3, "Third", "CREATE TABLE third ()", "c");
        await ApplyAsync(First, third);
        Assert.Equal([Second], await ApplyAsync(First, Second, third));
    }

    [Fact]
    public void Embedded_checksums_do_not_depend_on_line_ends()
    {
        Assert.All(Migrator.Embedded, migration => Assert.DoesNotContain('\r', migration.Sql));
        Assert.All(Migrator.Embedded, migration => Assert.Equal(64, migration.Checksum.Length));
    }

    private Migrator MigratorOf(params Migration[] migrations) => new(database.Source, migrations);

    private Task<IReadOnlyList<Migration>> ApplyAsync(params Migration[] migrations) => MigratorOf(migrations).ApplyAsync(default);
}
