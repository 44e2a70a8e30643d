// An action group that calls twokey, and the alert rules that feed it, for one subscription.
//
//   az deployment group create -g <resource group> -f action-group.bicep \
//     -p webhookUri='https://twokey.example.com/azure/<secret>'
//
// The secret in the address is the only thing that tells Azure's calls from others unless `audience` is
// given: then the calls also carry an Entra token (secure webhook) and twokey checks it.

targetScope = 'resourceGroup'

@secure()
@description('https://<host>/azure/<secret>. Keep it in a vault; who knows it can send notifications.')
param webhookUri string

@description('Short name of the action group, at most 12 characters.')
@maxLength(12)
param shortName string = 'twokey'

@description('Object id of the Entra application for a secure webhook; empty for none.')
param applicationObjectId string = ''

@description('Application ID URI of that application, e.g. api://twokey; empty for none.')
param audience string = ''

@description('Tenant of that application.')
param tenantId string = tenant().tenantId

var isSecure = !empty(applicationObjectId)

resource group 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'twokey'
  location: 'global'
  tags: { 'managed-by': 'twokey' } // so that `twokey azure setup` may go on with it
  properties: {
    enabled: true
    groupShortName: shortName
    webhookReceivers: [
      {
        name: 'twokey'
        serviceUri: webhookUri
        useCommonAlertSchema: true
        useAadAuth: isSecure
        objectId: isSecure ? applicationObjectId : null
        identifierUri: isSecure ? audience : null
        tenantId: isSecure ? tenantId : null
      }
    ]
  }
}

// Outages, maintenance, advisories and security notices of Azure itself.
resource serviceHealth 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: 'twokey-service-health'
  location: 'global'
  tags: { 'managed-by': 'twokey' }
  properties: {
    enabled: true
    scopes: [subscription().id]
    condition: {
      allOf: [
        { field: 'category', equals: 'ServiceHealth' }
      ]
    }
    actions: { actionGroups: [{ actionGroupId: group.id }] }
  }
}

// Resources that became unhealthy or healthy again, with the cause.
resource resourceHealth 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: 'twokey-resource-health'
  location: 'global'
  tags: { 'managed-by': 'twokey' }
  properties: {
    enabled: true
    scopes: [subscription().id]
    condition: {
      allOf: [
        { field: 'category', equals: 'ResourceHealth' }
      ]
    }
    actions: { actionGroups: [{ actionGroupId: group.id }] }
  }
}

// Security alerts about our resources.
resource security 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: 'twokey-security'
  location: 'global'
  tags: { 'managed-by': 'twokey' }
  properties: {
    enabled: true
    scopes: [subscription().id]
    condition: {
      allOf: [
        { field: 'category', equals: 'Security' }
      ]
    }
    actions: { actionGroups: [{ actionGroupId: group.id }] }
  }
}

// Somebody changed a storage account: it may have been opened.
resource storageWrites 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: 'twokey-storage-writes'
  location: 'global'
  tags: { 'managed-by': 'twokey' }
  properties: {
    enabled: true
    scopes: [subscription().id]
    condition: {
      allOf: [
        { field: 'category', equals: 'Administrative' }
        { field: 'operationName', equals: 'Microsoft.Storage/storageAccounts/write' }
        { field: 'status', equals: 'Succeeded' }
      ]
    }
    actions: { actionGroups: [{ actionGroupId: group.id }] }
  }
}

output actionGroupId string = group.id
