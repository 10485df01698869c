using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Data;

/// <summary>Where PostgreSQL is and how many connections this process may hold.</summary>
internal sealed class DatabaseSettings : ISettings
{
    [Setting("DATABASE_URL", IsSecret = true, Meaning = "`postgresql://` URL or Npgsql's keyword form", Development = "required",
        Missing = "set it to a postgresql:// URL, for example postgresql://user:password@host:5432/gptfunctions")]
    public string? Url { get; set; }

    [Setting("DATABASE_LISTEN_URL", IsSecret = true, Default = "`DATABASE_URL`",
        Meaning = "the same database past a pooler in transaction mode, for the one connection that listens to changes")]
    public string? ListenUrl { get; set; }

    /// <summary>Replicas x pool must stay below the server's <c>max_connections</c>.</summary>
    [Setting("DATABASE_POOL_SIZE", 1, 500, Meaning = "connections per process, beside that one")]
    public int PoolSize { get; set; } = 15;

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (Url is null)
        {
            return [];
        }

        try
        {
            return [.. new[] { ToConnectionString(), ToListenConnectionString() }.Select(connection => connection.RootCertificate)
                .Where(file => file is not null && !File.Exists(file)).Distinct()
                .Select(file => $"DATABASE_URL names the CA file {file} (sslrootcert), which is not there: mount it (infra/k8s/components/database-ca), "
                    + "or leave sslrootcert out where a public CA signed the server's certificate.")];
        }
        catch (FormatException problem)
        {
            return [problem.Message];
        }
    }

    /// <summary>The connection string that <see cref="Url"/> stands for.</summary>
    /// <exception cref="FormatException">Does not repeat the value: it holds a password.</exception>
    public NpgsqlConnectionStringBuilder ToConnectionString()
    {
        var builder = Parse(Url ?? throw new FormatException("DATABASE_URL is missing."));
        builder.MaxPoolSize = PoolSize;
        builder.MinPoolSize = Math.Min(builder.MinPoolSize, PoolSize);
        Default(builder, "Timeout", 5); // overload fails fast instead of queueing for a connection
        Default(builder, "Command Timeout", 10); // behind the limits of Database; for what does without them
        Default(builder, "Cancellation Timeout", -1); // a server that is asked to cancel a statement may be as silent as before
        Default(builder, "Max Auto Prepare", 50);
        Default(builder, "Auto Prepare Min Usages", 2);
        Default(builder, "Application Name", "gpt-functions");
        Default(builder, "No Reset On Close", true); // nothing here changes a session's state, and resetting it would be six more statements per request
        return builder;
    }

    /// <summary>One connection for one question.</summary>
    public NpgsqlConnectionStringBuilder ToQuestionConnectionString()
    {
        var builder = ToConnectionString();
        builder.Pooling = false;
        builder.MinPoolSize = 0;
        return builder;
    }

    /// <summary>One connection of its own, which notices within seconds that the server is gone.</summary>
    public NpgsqlConnectionStringBuilder ToListenConnectionString()
    {
        NpgsqlConnectionStringBuilder builder;
        try
        {
            builder = Parse(ListenUrl ?? Url!);
        }
        catch (FormatException problem) when (ListenUrl is not null)
        {
            throw new FormatException(problem.Message.Replace("DATABASE_URL", "DATABASE_LISTEN_URL", StringComparison.Ordinal), problem);
        }

        builder.Pooling = false;
        builder.CommandTimeout = 10; // behind the feed's own patience
        builder.CancellationTimeout = -1;
        Default(builder, "Timeout", 2);
        Default(builder, "Application Name", "gpt-functions listener");
        return builder;
    }

    /// <summary>Connections whose metrics are called by their application's name; Npgsql would call them by the whole connection string.</summary>
    public static NpgsqlDataSourceBuilder ToSource(NpgsqlConnectionStringBuilder connection) =>
        new(connection.ConnectionString) { Name = connection.ApplicationName };

    private static void Default(NpgsqlConnectionStringBuilder builder, string keyword, object value)
    {
        if (!builder.ShouldSerialize(keyword))
        {
            builder[keyword] = value;
        }
    }

    private static NpgsqlConnectionStringBuilder Parse(string text)
    {
        var builder = IsUrl(text) ? FromUrl(text) : FromKeywords(text);
        return string.IsNullOrEmpty(builder.Host) || string.IsNullOrEmpty(builder.Database)
            ? throw new FormatException("DATABASE_URL must name a host and a database.")
            : builder;
    }

    private static bool IsUrl(string text) =>
        text.StartsWith("postgres://", StringComparison.Ordinal) || text.StartsWith("postgresql://", StringComparison.Ordinal);

    private static NpgsqlConnectionStringBuilder FromKeywords(string text)
    {
        try
        {
            return new NpgsqlConnectionStringBuilder(text);
        }
        catch (ArgumentException error)
        {
            throw new FormatException("DATABASE_URL is neither a postgresql:// URL nor a list of Keyword=Value pairs.", error);
        }
    }

    private static NpgsqlConnectionStringBuilder FromUrl(string text)
    {
        // A '/' or '#' of a password can pass for the end of the host: then the rest of the URL is in the wrong places.
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.AbsolutePath.LastIndexOf('/') > 0 || url.Fragment.Length > 0)
        {
            throw new FormatException("DATABASE_URL is not a valid URL; percent-encode special characters in the password.");
        }

        var user = url.UserInfo.Split(':', 2);
        var builder = new NpgsqlConnectionStringBuilder
        {
            Host = url.Host.Trim('[', ']'),
            Port = url.IsDefaultPort || url.Port < 0 ? 5432 : url.Port,
            Database = Uri.UnescapeDataString(url.AbsolutePath.TrimStart('/')),
            Username = Uri.UnescapeDataString(user[0]),
            Password = user.Length > 1 ? Uri.UnescapeDataString(user[1]) : null,
        };
        foreach (var pair in url.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = pair.Split('=', 2);
            Apply(builder, Uri.UnescapeDataString(parts[0]), parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : "");
        }

        return builder;
    }

    /// <summary>libpq's names (<c>sslmode=verify-full</c>) and Npgsql's own keywords are both understood.</summary>
    private static void Apply(NpgsqlConnectionStringBuilder builder, string name, string value)
    {
        if ((name, value) is ("sslrootcert", "system")) // libpq: the CAs that the machine trusts, and no weaker check; so does Npgsql without a file
        {
            builder.SslMode = SslMode.VerifyFull;
            return;
        }

        try
        {
            builder[LibpqNames.GetValueOrDefault(name, name)] = name is "sslmode" ? value.Replace("-", "", StringComparison.Ordinal) : value;
        }
        catch (ArgumentException error)
        {
            throw new FormatException($"DATABASE_URL has the parameter '{name}', whose name or value Npgsql does not know.", error);
        }
    }

    private static readonly Dictionary<string, string> LibpqNames = new(StringComparer.Ordinal)
    {
        ["user"] = "Username",
        ["dbname"] = "Database",
        ["sslmode"] = "SSL Mode",
        ["sslrootcert"] = "Root Certificate",
        ["sslcert"] = "SSL Certificate",
        ["sslkey"] = "SSL Key",
        ["channel_binding"] = "Channel Binding",
        ["gssencmode"] = "GSS Encryption Mode",
        ["connect_timeout"] = "Timeout",
        ["application_name"] = "Application Name",
        ["options"] = "Options",
    };
}
