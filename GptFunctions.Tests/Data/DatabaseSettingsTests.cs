using GptFunctions.Data;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Data;

/// <summary>data.md 6: DATABASE_URL is a <c>postgresql://</c> URL or Npgsql's keyword form.</summary>
public sealed class DatabaseSettingsTests
{
    [Theory]
    [InlineData("postgresql://user:pass@host:6432/db", "host", 6432, "user", "pass", "db")]
    [InlineData("postgres://user:pass@host/db", "host", 5432, "user", "pass", "db")]
    [InlineData("postgresql://host/db", "host", 5432, "", null, "db")]
    [InlineData("postgresql://user@host/db", "host", 5432, "user", null, "db")]
    [InlineData("postgresql://us%40er:p%40ss%3Aw%2Ford%23%3F%25%20%C3%BC@host/d%2Fb", "host", 5432, "us@er", "p@ss:w/ord#?% ü", "d/b")]
    [InlineData("postgresql://user:a;b=c'd\"@host/db", "host", 5432, "user", "a;b=c'd\"", "db")]
    [InlineData("postgresql://user:pass:word@my_host.example/db", "my_host.example", 5432, "user", "pass:word", "db")]
    [InlineData("postgresql://[::1]:5433/db", "::1", 5433, "", null, "db")]
    [InlineData("postgresql:///db?host=/var/run/postgresql&user=me&port=5434", "/var/run/postgresql", 5434, "me", null, "db")]
    [InlineData("Host=host;Port=6432;Username=user;Password='pa;ss';Database=db", "host", 6432, "user", "pa;ss", "db")]
    public void Url_forms_are_understood(string setting, string host, int port, string user, string? password, string database)
    {
        var connection = new DatabaseSettings { Url = setting }.ToConnectionString();
        Assert.Equal(
            (host, port, user, password, database),
            (connection.Host, connection.Port, connection.Username ?? "", connection.Password, connection.Database));
    }

    [Theory]
    [InlineData("sslmode=verify-full", "SSL Mode", "VerifyFull")]
    [InlineData("sslmode=require&channel_binding=require", "Channel Binding", "Require")]
    [InlineData("sslrootcert=%2Fetc%2Fca.pem", "Root Certificate", "/etc/ca.pem")]
    [InlineData("sslrootcert=system", "SSL Mode", "VerifyFull")]
    [InlineData("sslrootcert=system", "Root Certificate", "")]
    [InlineData("application_name=a%20name", "Application Name", "a name")]
    [InlineData("options=-c%20statement_timeout%3D5s", "Options", "-c statement_timeout=5s")]
    [InlineData("Include%20Error%20Detail=true", "Include Error Detail", "True")]
    [InlineData("connect_timeout=30", "Timeout", "30")]
    public void Url_parameters_of_libpq_and_of_Npgsql_are_understood(string query, string keyword, string value)
    {
        var connection = new DatabaseSettings { Url = "postgresql://user:pass@host/db?" + query }.ToConnectionString();
        Assert.Equal(value, connection[keyword]?.ToString() ?? "");
    }

    [Fact]
    public void Defaults_make_overload_fail_fast()
    {
        var connection = new DatabaseSettings { Url = "postgresql://host/db" }.ToConnectionString();
        Assert.Equal((15, 5, 10, 50), (connection.MaxPoolSize, connection.Timeout, connection.CommandTimeout, connection.MaxAutoPrepare));
        Assert.Equal("gpt-functions", connection.ApplicationName);
        Assert.Equal(3, new DatabaseSettings { Url = "Host=host;Database=db;Minimum Pool Size=9", PoolSize = 3 }.ToConnectionString().MinPoolSize);
    }

    [Theory]
    [InlineData("postgresql://user:very#secret@host/db", "percent-encode")]
    [InlineData("postgresql://user:1#very-secret@host/db", "percent-encode")]
    [InlineData("postgresql://user:1/very-secret@host/db", "percent-encode")]
    [InlineData("postgresql://user:very@secret@host/db", "percent-encode")]
    [InlineData("postgresql://user:very-secret@host", "must name a host and a database")]
    [InlineData("postgresql://user:very-secret@host/", "must name a host and a database")]
    [InlineData("postgresql://user:very-secret@host/db?sslmode=bogus", "'sslmode'")]
    [InlineData("postgresql://user:very-secret@host/db?nonsense=very-secret", "'nonsense'")]
    [InlineData("postgresql://user:very-secret@host/db?sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "CA file /nowhere/ca.pem")]
    [InlineData("mysql://user:very-secret@host/db", "neither a postgresql:// URL nor a list of Keyword=Value pairs")]
    [InlineData("very-secret", "neither a postgresql:// URL nor a list of Keyword=Value pairs")]
    [InlineData("Host=host;Password=very-secret;Nonsense=1", "neither a postgresql:// URL nor a list of Keyword=Value pairs")]
    [InlineData("Host=host;Password=very-secret", "must name a host and a database")]
    [InlineData(null, "DATABASE_URL is missing")]
    public void Url_that_cannot_be_used_is_a_sentence_without_the_password(string? setting, string expected)
    {
        var problem = Assert.Single(TestSettings.Problems<DatabaseSettings>(isProduction: false, ("DATABASE_URL", setting)));
        Assert.StartsWith("DATABASE_URL", problem, StringComparison.Ordinal);
        Assert.Contains(expected, problem, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", problem, StringComparison.Ordinal);
    }
}
