namespace Microsoft.Azure.Functions.Worker;

/// <summary>Stand-in for the worker's attribute: runs the function for a message of a queue.</summary>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class RabbitMQTriggerAttribute : Attribute
{
    public RabbitMQTriggerAttribute(string queueName) => QueueName = queueName;

    public RabbitMQTriggerAttribute(string hostName, string userNameSetting, string passwordSetting, int port, string queueName)
    {
        HostName = hostName;
        UserNameSetting = userNameSetting;
        PasswordSetting = passwordSetting;
        Port = port;
        QueueName = queueName;
    }

    public string? ConnectionStringSetting { get; set; }

    public string? HostName { get; set; }

    public string QueueName { get; }

    public string? UserNameSetting { get; set; }

    public string? PasswordSetting { get; set; }

    public int Port { get; set; }

    public bool DisableCertificateValidation { get; set; }
}
